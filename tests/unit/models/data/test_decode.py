from collections.abc import Callable

import cv2
import numpy as np
import pytest

from models.data.decode import decode_all, decode_crop, decode_rgb, decoded_bytes
from models.data.folder import ImageFolder
from models.data.source import DataError


def test_the_colour_order_is_rgb() -> None:
    blue_in_bgr = np.zeros((112, 112, 3), np.uint8)
    blue_in_bgr[..., 0] = 255
    _, encoded = cv2.imencode(".png", blue_in_bgr)
    np.testing.assert_array_equal(decode_rgb(encoded.tobytes())[0, 0], [0, 0, 255])


def test_grey_images_get_three_channels() -> None:
    _, encoded = cv2.imencode(".png", np.full((112, 112), 9, np.uint8))
    assert decode_crop(encoded.tobytes()).shape == (112, 112, 3)


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0cut"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="could not be decoded"):
        decode_rgb(data)


def test_unaligned_sizes_are_refused(jpeg_bytes: Callable[..., bytes]) -> None:
    with pytest.raises(DataError, match="not an aligned 112×112"):
        decode_crop(jpeg_bytes(0, side=96))


def test_all_crops_in_order(source: ImageFolder) -> None:
    pixels = decode_all(source)
    assert pixels.nbytes == decoded_bytes(source)
    np.testing.assert_array_equal(pixels[4], decode_crop(source.read(4)))
