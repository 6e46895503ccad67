"""Which of several faces is meant."""

from collections.abc import Sequence

from app.domain import Face, FaceSelect, Image
from app.errors import FaceMultipleError, FaceNotFoundError


def select(faces: Sequence[Face], image: Image, how: FaceSelect) -> Face:
    """The chosen face.

    Raises FaceNotFoundError where there is none, and FaceMultipleError, which carries all boxes,
    where exactly one was asked for.
    """
    if not faces:
        raise FaceNotFoundError(
            "no face was found", width=image.width, height=image.height, format=image.format
        )
    if how is FaceSelect.ONLY and len(faces) > 1:
        raise FaceMultipleError(
            f"{len(faces)} faces were found where one was asked for; crop the image, or choose "
            "with face_select=largest or face_select=center",
            faces=[{"box": face.box, "score": face.score} for face in faces],
        )
    if how is FaceSelect.CENTER:
        return min(faces, key=lambda face: _distance_to_centre(face, image))
    return max(faces, key=lambda face: face.box.area)


def _distance_to_centre(face: Face, image: Image) -> float:
    across = (face.box.left + face.box.right - image.width) / 2
    down = (face.box.top + face.box.bottom - image.height) / 2
    return across**2 + down**2
