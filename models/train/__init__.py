"""Training: a typed recipe in, a run directory with exact, resumable checkpoints out."""
