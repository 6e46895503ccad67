"""Search in memory: a projection of the database that may be thrown away at any time."""
