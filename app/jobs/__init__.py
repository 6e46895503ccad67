"""Work that outlives a request: jobs that survive a restart, and the import of whole galleries."""
