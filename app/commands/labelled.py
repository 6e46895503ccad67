"""The service's own pipeline as calibration sees it, so that what is measured is what is served."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.commands.common import settings
from app.domain import FaceSelect
from app.errors import FaceMultipleError, FaceNotFoundError, InferenceInvalidError, InputError
from app.pipeline import Pipeline
from app.service import build_pipeline
from app.vision import measures
from app.vision.align import align
from app.vision.select import select
from export.calibrate.photos import Failure, FoundFace


@dataclass(frozen=True, slots=True)
class PipelineFaces:
    """A `FaceSource` over a `Pipeline`."""

    pipeline: Pipeline
    detector: str
    how: FaceSelect

    @property
    def contract_id(self) -> str:
        return self.pipeline.recogniser.contract_id

    def find(self, photo: Path) -> FoundFace | Failure:
        try:
            detection = self.pipeline.detect(photo.read_bytes())
        except (InputError, OSError):
            return Failure.UNDECODABLE
        try:
            face = select(detection.faces, detection.image, self.how)
            crop = align(detection.image, face, self.pipeline.recogniser.template)
        except (FaceNotFoundError, FaceMultipleError, InferenceInvalidError):
            return Failure.UNDETECTED
        return FoundFace(crop, face.score, min(face.box.width, face.box.height))

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        embedded = self.pipeline.recogniser.embed(list(crops_NHWC))
        return np.stack([one.feature for one in embedded])

    def sharpness(self, crop: NDArray[np.uint8]) -> float:
        return measures.sharpness(crop)


def open_faces(recogniser: str, detector: str, face: str, data_dir: Path) -> PipelineFaces:
    """The pipeline with these two packages. Raises StartError."""
    wanted = settings(recogniser=recogniser, detector=detector, data_dir=data_dir)
    return PipelineFaces(build_pipeline(wanted)[0], detector, FaceSelect(face))
