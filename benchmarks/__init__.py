"""Measurements: paired and interleaved, ratios and medians, kept with hardware and date."""
