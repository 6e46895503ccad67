"""Raw features: checked when they come in, packed for the store, read back from it."""

import numpy as np
from numpy.typing import NDArray

from app.errors import FeatureInvalidError
from app.gallery.rows.faces import PackedFace
from app.gallery.types import FeatureType, NewFace

SHORTEST, LONGEST = 1e-3, 1e4
"""Norms outside are no recogniser's; inside, float16 keeps every component."""


def checked(feature: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """The feature, if it can be compared: (D,), finite, of a sane length.

    Raises FeatureInvalidError.
    """
    if feature.shape != (dim,):
        raise FeatureInvalidError(f"a feature of {feature.shape} where ({dim},) is kept")
    if not np.isfinite(feature).all():
        raise FeatureInvalidError("a feature with NaN or infinity")
    norm = norm_of(feature)
    if not SHORTEST <= norm <= LONGEST:
        raise FeatureInvalidError(f"a feature of length {norm:g}")
    return feature


def norm_of(feature: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(feature.astype(np.float64)))


def packed(face: NewFace, dim: int, feature_type: FeatureType) -> PackedFace:
    """Ready for the store; the norm is that of the float32 feature. Raises FeatureInvalidError."""
    feature = checked(face.feature, dim)
    return PackedFace(face, norm_of(feature), feature.astype(feature_type).tobytes())


def unpacked(blob: bytes, feature_type: FeatureType) -> NDArray[np.float32]:
    """float32 (D,), as precise as it was stored."""
    return np.frombuffer(blob, feature_type).astype(np.float32)
