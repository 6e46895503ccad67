"""HTTP: limits, request bodies, schemas and routes. Nothing here knows how faces work."""
