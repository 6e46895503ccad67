"""Training: backbones, margin losses, data, trainer and evaluation, in PyTorch."""
