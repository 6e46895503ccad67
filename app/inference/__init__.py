"""Networks at work: sessions, self-tests, the embedder and the pool of workers."""
