"""The record of what was done to whom by whom: append-only, chained, without biometrics."""
