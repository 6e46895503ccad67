"""Five landmarks to the template's square crop."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Face, Image
from app.errors import InferenceInvalidError
from export.contract import AlignmentTemplate, similarity_transform


def align(image: Image, face: Face, template: AlignmentTemplate) -> NDArray[np.uint8]:
    """The face as the recogniser was trained to see it: uint8 RGB (size, size, 3).

    Bilinear; what lies beyond the image's border is black. Raises InferenceInvalidError when the
    detector's landmarks coincide or are not finite.
    """
    try:
        matrix = similarity_transform(face.landmarks * np.float32(image.scale), template)
    except ValueError as error:
        raise InferenceInvalidError(f"the detector's landmarks are degenerate: {error}") from error
    side = (template.size, template.size)
    crop = cv2.warpAffine(image.pixels, matrix, side, flags=cv2.INTER_LINEAR, borderValue=0)
    return np.asarray(crop, dtype=np.uint8)
