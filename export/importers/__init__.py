"""Foreign models into packages: single networks, InsightFace packs, and the defaults."""
