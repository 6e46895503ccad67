"""The gallery: enrolled subjects and their faces, kept durably in SQLite, searched in memory."""
