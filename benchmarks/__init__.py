"""Measurements: paired and interleaved, ratios and medians, kept with hardware and date."""

import os

# ONNX Runtime reports to its maker, under an id that it leaves on the disk, unless this is said
# before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
