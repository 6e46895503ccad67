"""The service's own commands: serve, look at photos, say what is installed."""
