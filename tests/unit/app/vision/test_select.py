"""Which of several faces is meant."""

from itertools import permutations

import numpy as np
import pytest

from app.domain import Box, Face, FaceSelect, Image
from app.errors import FaceMultipleError, FaceNotFoundError
from app.vision.select import select

IMAGE = Image(np.zeros((100, 100, 3), dtype=np.uint8), "png", 400, 200, 0.25)
POINTS = np.zeros((5, 2), dtype=np.float32)

LARGE = Face(Box(0, 0, 90, 80), 0.6, POINTS)
CENTRAL = Face(Box(170, 80, 220, 130), 0.7, POINTS)
CERTAIN = Face(Box(300, 10, 330, 40), 0.99, POINTS)


@pytest.mark.parametrize("order", list(permutations([LARGE, CENTRAL, CERTAIN])))
def test_the_choice_does_not_hang_on_the_order(order: list[Face]) -> None:
    assert select(order, IMAGE, FaceSelect.LARGEST) is LARGE
    assert select(order, IMAGE, FaceSelect.CENTER) is CENTRAL


def test_the_centre_is_that_of_the_image_as_it_was_sent() -> None:
    """(200, 100), not the decoded picture's (50, 50), where LARGE lies."""
    assert select([LARGE, CENTRAL], IMAGE, FaceSelect.CENTER) is CENTRAL


@pytest.mark.parametrize("how", FaceSelect)
def test_one_face_is_meant_however_asked(how: FaceSelect) -> None:
    assert select([CERTAIN], IMAGE, how) is CERTAIN


def test_only_refuses_several_and_shows_them_all() -> None:
    with pytest.raises(FaceMultipleError, match="2 faces") as refused:
        select([LARGE, CERTAIN], IMAGE, FaceSelect.ONLY)
    assert refused.value.details["faces"] == [
        {"box": LARGE.box, "score": 0.6},
        {"box": CERTAIN.box, "score": 0.99},
    ]


@pytest.mark.parametrize("how", FaceSelect)
def test_no_face_is_no_choice(how: FaceSelect) -> None:
    with pytest.raises(FaceNotFoundError) as refused:
        select([], IMAGE, how)
    assert refused.value.details == {"width": 400, "height": 200, "format": "png"}
