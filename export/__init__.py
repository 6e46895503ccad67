"""The model package: what training and serving share, and how foreign models come in."""
