"""What the service tells of itself: metrics, traces, logs, health; never who was seen."""
