"""One photo through all stages, in the caller's thread: decode → detect → align → embed → judge."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from app.domain import Face, FaceSelect, Image, Observation, Timings
from app.errors import ImageUndecodableError
from app.inference.embed import Recogniser
from app.telemetry.meters import SILENT, Meters
from app.vision.align import align
from app.vision.decode import DECODE_SIDE, decode
from app.vision.detect import CANVAS_RATIOS, Detector
from app.vision.limits import ImageLimits
from app.vision.quality import QualityJudge, Stage
from app.vision.select import select

MOST_FACES = 50
"""Faces of one photo that are embedded: bounds the time that one request can take."""


PROBE_SIDE = 320
"""Of the picture that shows whether the networks work."""


@dataclass(frozen=True, slots=True)
class Detection:
    """All faces of one photo."""

    image: Image
    faces: list[Face]
    timings: Timings


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, put together. Holds no state of its own; safe from many threads."""

    limits: ImageLimits
    detector: Detector
    recogniser: Recogniser
    judge: QualityJudge
    meters: Meters = field(default=SILENT, repr=False)
    quick: bool = False
    """Where the largest face is asked for, do not look for small ones beside it."""

    @property
    def well(self) -> bool:
        """False while a network fails again and again."""
        return self.detector.well and self.recogniser.well

    def close(self) -> None:
        """End the networks' threads, where they have any."""
        self.detector.close()
        self.recogniser.close()

    def probe(self) -> None:
        """Run both networks once on a grey picture. Raises InferenceFailedError."""
        self._look_at_grey(PROBE_SIDE, PROBE_SIDE)

    def warm_up(self) -> None:
        """Run both networks at every shape that photos come in, so that no request pays for a
        first run."""
        for ratio in CANVAS_RATIOS:
            shorter = int(DECODE_SIDE * ratio)
            self._look_at_grey(DECODE_SIDE, shorter)
            self._look_at_grey(shorter, DECODE_SIDE)

    def _look_at_grey(self, height: int, width: int) -> None:
        grey = np.full((height, width, 3), 128, dtype=np.uint8)
        self.detector.detect([Image(grey, "png", width, height)])
        size = self.recogniser.template.size
        self.recogniser.embed([grey[:size, :size]])

    def detect(self, photo: bytes) -> Detection:
        """Decode and find faces. Raises the errors of `decode`."""
        return self._detect(photo, lambda image: self.detector.detect([image])[0])

    def _detect(self, photo: bytes, find: Callable[[Image], list[Face]]) -> Detection:
        start = perf_counter()
        image = self._decode(photo)
        decoded = perf_counter()
        faces = find(image)
        found = perf_counter()
        self.meters.stage("decode", start, decoded)
        self.meters.stage("detect", decoded, found)
        timings = Timings(decode=_ms(start, decoded), detect=_ms(decoded, found))
        return Detection(image, faces, timings)

    def _decode(self, photo: bytes) -> Image:
        try:
            return decode(photo, self.limits)
        except ImageUndecodableError as error:
            self.meters.undecodable(type(error.__cause__ or error).__name__)
            raise

    def observe(self, photo: bytes, how: FaceSelect, stage: Stage) -> Observation:
        """The chosen face of a photo, embedded and judged; no other face is embedded.

        Raises the errors of `decode` and `select`.
        """
        if self.quick and how is FaceSelect.LARGEST:
            detection = self._detect(photo, self.detector.detect_largest)
        else:
            detection = self.detect(photo)
        image = detection.image
        face = select(detection.faces, image, how)
        return self._observe(detection, image, face, stage)

    def observe_all(self, photo: bytes, stage: Stage) -> list[Observation]:
        """Every face of a photo, the largest first; of a crowd only the `MOST_FACES` largest.

        Raises the errors of `decode`. No face is an empty list.
        """
        detection = self.detect(photo)
        largest = sorted(detection.faces, key=lambda face: face.box.area, reverse=True)
        return [
            self._observe(detection, detection.image, face, stage) for face in largest[:MOST_FACES]
        ]

    def _observe(self, detection: Detection, image: Image, face: Face, stage: Stage) -> Observation:
        start = perf_counter()
        crop = align(image, face, self.recogniser.template)
        aligned = perf_counter()
        embedding = self.recogniser.embed([crop])[0]
        embedded = perf_counter()
        quality = self.judge(image, face, crop, embedding, stage)
        self.meters.stage("align", start, aligned)
        self.meters.stage("embed", aligned, embedded)
        self.meters.judged(stage, quality.norm, quality.score, quality.reasons)
        return Observation(
            image=image,
            face=face,
            face_count=len(detection.faces),
            embedding=embedding,
            quality=quality,
            timings=Timings(
                decode=detection.timings.decode,
                detect=detection.timings.detect,
                align=_ms(start, aligned),
                embed=_ms(aligned, embedded),
            ),
        )


def _ms(start: float, end: float) -> float:
    return (end - start) * 1000
