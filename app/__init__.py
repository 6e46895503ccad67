"""The service: HTTP in, decisions out. Imports `export` only, never `models` or torch."""
