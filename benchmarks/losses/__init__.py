"""Every loss, trained and measured alike: `python -m benchmarks losses`."""
