"""How fast the service is, beside the bare networks and beside what one would write oneself."""
