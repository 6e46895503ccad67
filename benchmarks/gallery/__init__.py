"""The gallery over HTTP and in process, beside bare FAISS and numpy on the same vectors."""
