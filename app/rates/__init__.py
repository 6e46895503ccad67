"""What a gallery says about error rates: its own strangers, and whether the world has moved."""
