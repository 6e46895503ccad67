"""What an image may be, checked on its header before any pixel is decoded."""

from dataclasses import dataclass, field

from app.domain import ImageFormat
from app.errors import ImageDimensionsError, ImageEmptyError, ImageTooLargeError
from app.vision.memory import DecodeMemory


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds on one image. JPEGs that decode scaled down may hold more pixels than the others."""

    max_bytes: int
    max_pixels: int
    max_jpeg_pixels: int
    max_side: int
    min_side: int
    max_aspect: float
    memory: DecodeMemory = field(default_factory=DecodeMemory)

    def check_bytes(self, size: int) -> None:
        """Raises ImageEmptyError or ImageTooLargeError."""
        if size == 0:
            raise ImageEmptyError("the image holds no bytes")
        if size > self.max_bytes:
            raise ImageTooLargeError(
                f"the image has {size} bytes, at most {self.max_bytes} are accepted",
                limit_bytes=self.max_bytes,
            )

    def check_sides(self, width: int, height: int, kind: ImageFormat, *, scaled: bool) -> None:
        """`scaled` says that the image never exists at its full size.

        Raises ImageDimensionsError, which carries the sides and the limit they break.
        """
        longest, shortest = max(width, height), min(width, height)
        pixels = self.max_jpeg_pixels if scaled else self.max_pixels
        if shortest < self.min_side:
            problem = f"the shorter side must be at least {self.min_side} pixels"
        elif longest > self.max_side:
            problem = f"the longer side may be at most {self.max_side} pixels"
        elif width * height > pixels:
            problem = f"a {kind} of this kind may hold at most {pixels} pixels"
        elif longest > self.max_aspect * shortest:
            problem = f"the sides may differ at most by a factor of {self.max_aspect:g}"
        else:
            return
        raise ImageDimensionsError(f"{width}×{height}: {problem}", width=width, height=height)
