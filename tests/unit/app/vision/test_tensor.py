"""The fast way to a tensor gives what the contract's way gives, to the bit."""

import numpy as np
import pytest

from app.vision.tensor import to_tensor
from export.contract import ColourOrder, Preprocessing


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("mean", "std"),
    [((0, 0, 0), (1, 1, 1)), ((127.5,) * 3, (128,) * 3), ((123.7, 116.3, 103.5), (58.4, 57.1, 57))],
)
def test_it_is_the_contracts_arithmetic(
    order: ColourOrder, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    images = np.random.default_rng(3).integers(0, 256, (3, 33, 48, 3), dtype=np.uint8)
    preprocessing = Preprocessing(order, mean, std)
    found = to_tensor(list(images), preprocessing)
    np.testing.assert_array_equal(found, preprocessing(images))
    assert found.flags.c_contiguous
    assert found.dtype == np.float32


def test_a_view_of_a_larger_picture_will_do() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    preprocessing = Preprocessing("BGR", (0, 0, 0), (1, 1, 1))
    view = picture[8:40, 16:48]
    np.testing.assert_array_equal(to_tensor([view], preprocessing), preprocessing(view[None]))
