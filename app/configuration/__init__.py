"""Settings out of the environment and a file, and what is to be said about them."""
