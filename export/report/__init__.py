"""The calibration report: one HTML page that needs nothing else, and the same as JSON."""
