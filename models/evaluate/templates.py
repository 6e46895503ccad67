"""IJB-style templates: one feature for a set of photos and video frames of one person.

Frames of one medium are averaged first, then the media, so that a long video does not drown the
photos (the protocol of IJB-B and IJB-C, Whitelam et al. 2017, Maze et al. 2018). With raw
features each sample weighs in by its norm, that is by its quality (MagFace+, arXiv:2103.06627).

Shapes: N samples, M media, T templates, D feature dimensions.
"""

from typing import Literal

import numpy as np

from models.evaluate.comparisons import Labels, Scores, unit

Weighting = Literal["norm", "equal"]


def aggregate(
    features_ND: Scores, template_N: Labels, media_N: Labels, weighting: Weighting = "norm"
) -> tuple[Scores, Labels]:
    """(features (T, D), template ids (T,) ascending).

    `media_N` numbers the medium of a sample inside its template. The result is not normalised.
    """
    weighed_ND = features_ND if weighting == "norm" else unit(features_ND)
    medium_M2, medium_N = np.unique(
        np.stack([template_N, media_N], axis=1), axis=0, return_inverse=True
    )
    media_MD = _means(weighed_ND, medium_N.ravel(), len(medium_M2))
    template_T, template_M = np.unique(medium_M2[:, 0], return_inverse=True)
    return _means(media_MD, template_M, len(template_T)), template_T


def _means(rows_ND: Scores, group_N: Labels, groups: int) -> Scores:
    sums = np.zeros((groups, rows_ND.shape[1]))
    np.add.at(sums, group_N, rows_ND)
    return sums / np.bincount(group_N, minlength=groups)[:, None]
