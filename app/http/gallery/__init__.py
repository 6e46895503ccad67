"""The galleries' routes and what they exchange."""
