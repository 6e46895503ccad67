"""Crops to features with a PyTorch backbone, as verification protocols want them."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.backbones import Backbone
from models.data.decode import Pixels
from models.train.learner import to_input

Features = NDArray[np.float32]


@torch.inference_mode()
def embed(backbone: Backbone, pixels: Pixels, *, flip: bool = False, batch: int = 128) -> Features:
    """Raw features (N, D) of RGB uint8 crops (N, 112, 112, 3), in the backbone's current mode.

    flip: add the mirrored crop's feature, as the published `.bin` protocols do; the sum has no
    norm that means quality.
    """
    device = next(backbone.parameters()).device
    parts = []
    for start in range(0, len(pixels), batch):
        images_BHWC = torch.from_numpy(pixels[start : start + batch]).to(device)
        features_BD = backbone(to_input(images_BHWC))
        if flip:
            features_BD = features_BD + backbone(to_input(images_BHWC.flip(2)))
        parts.append(features_BD.float().cpu().numpy())
    return np.concatenate(parts)
