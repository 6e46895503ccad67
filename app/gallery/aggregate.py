"""From a subject's faces to one similarity.

max            the nearest face: exact over the whole gallery
mean           the mean of the cosines of all its faces
norm_weighted  the cosine with the sum of its raw features: faces weigh by their norm, which
               MagFace-style training makes their quality (Meng et al., CVPR 2021)
"""

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.rescore import cosines
from app.gallery.types import Aggregate


def similarity(
    unit_D: NDArray[np.float64], features_ND: NDArray[np.float64], aggregate: Aggregate
) -> float:
    """One subject's similarity to a probe, from all its raw features."""
    rows = features_ND
    if aggregate == "norm_weighted":
        rows = features_ND.sum(axis=0, keepdims=True)
    norms = np.linalg.norm(rows, axis=1)
    if not norms.all():  # opposite features that cancel out look like nobody
        return 0.0
    each = cosines(rows, 1 / norms, unit_D)
    return float(each.mean() if aggregate == "mean" else each.max())
