"""Calibration: labelled features become thresholds in error rates, with intervals."""
