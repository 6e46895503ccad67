"""The second recogniser: beside the first, with the same detector and the same workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.errors import StartError
from app.gallery.health.findings import Limits
from app.gallery.types import Gallery
from app.inference import packages
from app.inference.policy import choose
from app.operating import Loaded, health_limits
from app.pipeline import Pipeline
from app.settings import Settings
from app.telemetry.meters import Meters
from app.vision.quality import QualityJudge
from export.package import Package
from export.tables import Calibration


@dataclass(frozen=True, slots=True)
class Second:
    """Loaded, verified and warm."""

    settings: Settings
    package: Package
    pipeline: Pipeline
    calibration: Calibration | None

    def limits_or(self, first: Callable[[Gallery], Limits]) -> Callable[[Gallery], Limits]:
        """What is worth looking at in a gallery, by the package that its features are of."""
        loaded = Loaded(self.settings, self.calibration)
        own = partial(health_limits, loaded, self.package.quality())
        contract_id = self.pipeline.recogniser.contract_id
        return lambda gallery: (own if gallery.spec.contract_id == contract_id else first)(gallery)


@dataclass(frozen=True, slots=True)
class Together:
    """Pipelines that are well if all are."""

    pipelines: Sequence[Pipeline]

    @property
    def well(self) -> bool:
        return all(one.well for one in self.pipelines)

    def probe(self) -> None:
        """Raises InferenceFailedError."""
        for one in self.pipelines:
            one.probe()


def open_second(settings: Settings, first: Pipeline, meters: Meters) -> Second | None:
    """None where there is to be none. Raises StartError."""
    if settings.next_recogniser is None:
        return None
    policy = choose(settings)
    found = packages.find(settings.next_recogniser, settings.packages_dir)
    recogniser = packages.open_recogniser(found, policy.runtime, policy.gathered(meters))
    if recogniser.contract_id == first.recogniser.contract_id:
        raise StartError(f"NORMA_NEXT_RECOGNISER: {found.name} is the recogniser in use already")
    judge = QualityJudge(found.quality(), settings.min_face)
    pipeline = replace(first, recogniser=recogniser, judge=judge)
    pipeline.probe()
    return Second(settings, found, pipeline, found.calibration())
