"""Labelled faces and verification pairs: readers, quality-varying augmentation, exact batches."""
