"""Networks at work: sessions, self-tests, the embedder, and the engine whose workers run them."""
