"""What this machine sustains, measured on a service of its own with the caller's photos."""
