"""Features from a packaged network, as the service computes them: ONNX Runtime on the CPU.

Shapes: N images, D feature dimensions.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from export import runtime
from export.contract import Preprocessing

Crops = NDArray[np.uint8]
Features = NDArray[np.float32]

Embed = Callable[[Crops], Features]
"""Aligned crops, uint8 RGB (N, H, W, 3), to raw features (N, D)."""

TRAINED_INPUT = Preprocessing("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
"""What every backbone here is trained on: RGB in [−1, 1]."""


class Embedder:
    """One network and its pixel arithmetic. Raises ImportFailedError where it does not run."""

    def __init__(
        self, model: bytes, preprocessing: Preprocessing = TRAINED_INPUT, batch: int = 16
    ) -> None:
        self._session = runtime.open_model(model, "the network")
        self._preprocessing = preprocessing
        self._batch = batch

    def __call__(self, crops_NHWC: Crops) -> Features:
        """Raw features (N, D) of aligned RGB crops, uint8 (N, H, W, 3)."""
        starts = range(0, len(crops_NHWC), self._batch)
        return np.concatenate(
            [self.tensor(self._preprocessing(crops_NHWC[at : at + self._batch])) for at in starts]
        )

    def tensor(self, tensor_NCHW: NDArray[np.float32]) -> Features:
        """Raw features of preprocessed crops, in one batch."""
        (features_ND,) = runtime.run(self._session, tensor_NCHW, "the network")
        return features_ND
