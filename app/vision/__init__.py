"""From bytes to aligned crops: decode, detect, align, and what makes a face poor."""
