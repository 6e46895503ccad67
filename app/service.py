"""The only place where parts are put together, and the questions that can be put to the whole."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from threading import Event
from time import perf_counter

import cv2

from app import decision
from app.configuration.directories import check_directories
from app.domain import (
    Decision,
    FaceSelect,
    Observation,
    QualityPolicy,
    VerifyThreshold,
)
from app.errors import (
    NormaError,
    NotReadyError,
    QualityRejectedError,
    RateUnsupportedError,
    StartError,
)
from app.gallery.health.examiner import HealthPlan
from app.gallery.room import GalleryRoom, open_room
from app.inference import packages
from app.inference.engine import Engine, EngineOptions
from app.inference.policy import choose
from app.inference.turn import Turn
from app.operating import Loaded, health_limits
from app.pipeline import Detection, Pipeline
from app.second import Together, open_second
from app.security.audit.log import AuditLog, open_audit
from app.security.guard import Guard
from app.security.start import open_guard
from app.settings import Settings
from app.telemetry.gauges import Galleries, GalleriesHealth, Queues, Ready
from app.telemetry.meters import SILENT, Meters
from app.telemetry.metrics import Build, Metrics
from app.telemetry.tracing import Tracing, open_tracing
from app.vision.limits import ImageLimits
from app.vision.memory import DecodeMemory
from app.vision.quality import QualityJudge, Stage
from export import package
from export.errors import PackageError
from export.package import Manifest, Package
from export.tables import Calibration, QualityCurve

Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Verification:
    """The whole answer to `verify`: both sides, the decision and the time it took."""

    a: Observation
    b: Observation
    decision: Decision
    total_ms: float


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A verified package, its tables, and where it runs (None where it is not in use)."""

    manifest: Manifest
    calibration: Calibration | None
    quality: QualityCurve | None
    provider: str | None


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that is loaded, ready to answer."""

    settings: Settings
    detector_package: Package
    recogniser_package: Package
    pipeline: Pipeline
    calibration: Calibration | None
    engine: Engine
    gallery: GalleryRoom
    metrics: Metrics
    guard: Guard
    audit: AuditLog
    tracing: Tracing | None = None
    next: "Service | None" = None
    """The same with the second recogniser, where there is one."""
    stopping: Event = field(default_factory=Event, repr=False)
    """Set once the process has been asked to end."""

    def speaking(self, contract_id: str) -> "Service":
        """The same with the recogniser of that contract; this one where there is none."""
        other = self.next
        return other if other and other.contract_id == contract_id else self

    @property
    def contract_id(self) -> str:
        """The space that this one's features live in."""
        return self.pipeline.recogniser.contract_id

    async def detect(self, photo: bytes, turn: Turn) -> Detection:
        """All faces of a photo."""
        return (await self.engine.run_all([partial(self.pipeline.detect, photo)], turn))[0]

    async def observe(
        self, photo: bytes, how: FaceSelect, policy: QualityPolicy, stage: Stage, turn: Turn
    ) -> Observation:
        """The chosen face of a photo. Raises QualityRejectedError where the policy says so."""
        jobs = [partial(self.pipeline.observe, photo, how, stage)]
        [observed] = await self.engine.run_all(jobs, turn)
        return admit({"image": observed}, policy)["image"]

    async def observe_each(
        self, photos: Mapping[str, bytes], how: FaceSelect, policy: QualityPolicy, turn: Turn
    ) -> dict[str, Observation | NormaError]:
        """As `observe`, of each photo by its name; one that fails costs the others nothing."""

        def look(name: str, photo: bytes) -> Observation:
            return admit({name: self.pipeline.observe(photo, how, "query")}, policy)[name]

        jobs = [partial(look, *item) for item in photos.items()]
        return dict(zip(photos, await self.engine.run_each(jobs, turn), strict=True))

    async def verify(
        self,
        photos: Pair,
        how: FaceSelect,
        policy: QualityPolicy,
        threshold: VerifyThreshold,
        turn: Turn,
    ) -> Verification:
        """Whether two photos show the same person. Both are looked at in parallel."""
        start = perf_counter()
        named = {"image_a": photos[0], "image_b": photos[1]}
        jobs = [partial(_observe_named, self.pipeline, name, named[name], how) for name in named]
        observed = await self.engine.run_all(jobs, turn)
        a, b = admit(dict(zip(named, observed, strict=True)), policy).values()
        scoring = self.calibration.scoring if self.calibration else None
        verdict = decision.decide(a, b, threshold, photos[0] == photos[1], scoring)
        return Verification(a, b, verdict, (perf_counter() - start) * 1000)

    def threshold(
        self, fmr: float | None, cosine: float | None, review_fmr: float | None = None
    ) -> VerifyThreshold:
        """The 1:1 threshold for a request that names a rate, a cosine, or neither.

        With `review_fmr`, similarities down to that looser rate's threshold are inconclusive.
        """
        if cosine is not None:
            return decision.threshold_given(cosine)
        found = decision.threshold_at(self.calibration, fmr or self.settings.fmr)
        if review_fmr is None:
            return found
        return decision.with_review(found, self.calibration, review_fmr)

    def check_ready(self) -> None:
        """Raises NotReadyError once the service is to end, and where workers, networks or the
        gallery's store have failed."""
        if self.stopping.is_set():
            raise NotReadyError("the service is shutting down")
        self.engine.check_ready()
        self.gallery.check_ready()

    def models(self) -> tuple[list[InstalledModel], dict[str, str]]:
        """The installed packages that verify, and the names of those that do not, with why.

        What is in use is answered from memory: a file damaged since the start does not change it.
        """
        detector = self.pipeline.detector.provider
        usable = [InstalledModel(self.detector_package.manifest, None, None, detector)]
        usable += [one._recogniser() for one in self._speakers()]
        in_use = [self.detector_package.path]
        in_use += [one.recogniser_package.path for one in self._speakers()]
        unusable = {}
        for name in packages.installed(self.settings.packages_dir):
            path = self.settings.packages_dir / name
            if path in in_use:
                continue
            try:
                found = package.load(path)
                tables = (found.calibration(), found.quality())
            except PackageError as error:
                unusable[name] = str(error)
            else:
                usable.append(InstalledModel(found.manifest, *tables, None))
        return usable, unusable

    def _speakers(self) -> "list[Service]":
        return [self] if self.next is None else [self, self.next]

    def _recogniser(self) -> InstalledModel:
        return InstalledModel(
            self.recogniser_package.manifest,
            self.calibration,
            self.pipeline.judge.curve,
            self.pipeline.recogniser.provider,
        )

    def close(self) -> None:
        """Let what runs end, and stop."""
        self.engine.close()
        self.pipeline.close()
        if self.next is not None:
            self.next.pipeline.recogniser.close()
        self.gallery.close()
        self.audit.close()
        self.guard.close()
        if self.tracing is not None:
            self.tracing.close()


def build_pipeline(
    settings: Settings, meters: Meters = SILENT
) -> tuple[Pipeline, Package, Package]:
    """The pipeline and the detector's and recogniser's packages. Raises StartError."""
    cv2.setNumThreads(1)  # the workers are the parallelism
    policy = choose(settings)
    detector = packages.find(settings.detector, settings.packages_dir)
    recogniser = packages.find(settings.recogniser, settings.packages_dir)
    gathered = policy.gathered(meters)
    pipeline = Pipeline(
        limits=ImageLimits(
            max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_pixels,
            max_jpeg_pixels=settings.max_jpeg_pixels,
            max_side=settings.max_side,
            min_side=settings.min_side,
            max_aspect=settings.max_aspect,
            memory=DecodeMemory(settings.decode_memory),
        ),
        detector=packages.open_detector(detector, policy.runtime, gathered),
        recogniser=packages.open_recogniser(recogniser, policy.runtime, gathered),
        judge=QualityJudge(recogniser.quality(), settings.min_face),
        meters=meters,
        quick=settings.detection == "quick",
    )
    return pipeline, detector, recogniser


def build_service(settings: Settings) -> Service:
    """Load, verify, self-test and connect everything. Raises StartError."""
    check_directories(settings)
    guard = open_guard(settings)  # early: where nobody is kept out, nothing need be loaded
    tracing = open_tracing(settings.traces, settings.traces_sample)
    metrics = Metrics([] if tracing is None else [tracing.stage])
    pipeline, detector, recogniser = build_pipeline(settings, metrics)
    calibration = recogniser.calibration()
    _check_rates(settings, calibration)
    pipeline.warm_up()
    second = open_second(settings, pipeline, metrics)
    if second is not None:
        _check_rates(settings, second.calibration)
    # Before the workers, whose threads a failed start would leave.
    audit = open_audit(settings)
    limits = partial(health_limits, Loaded(settings, calibration), recogniser.quality())
    plan = HealthPlan(
        limits if second is None else second.limits_or(limits), settings.gallery_health_every
    )
    gallery = open_room(settings, metrics, audit, plan)
    patients = [pipeline] if second is None else [pipeline, second.pipeline]
    engine = Engine(_engine_options(settings), Together(patients), metrics)
    contract_id = pipeline.recogniser.contract_id
    metrics.registry.register(Queues({"workers": engine.load, "gallery": gallery.load}))
    metrics.registry.register(Galleries(partial(gallery.holdings, contract_id)))
    metrics.registry.register(GalleriesHealth(gallery.totals))
    metrics.name(
        Build(
            version=version("norma"),
            detector=detector.name,
            recogniser=recogniser.name,
            contract_id=contract_id,
            provider=pipeline.recogniser.provider,
        )
    )
    service = Service(
        settings=settings,
        detector_package=detector,
        recogniser_package=recogniser,
        pipeline=pipeline,
        calibration=calibration,
        engine=engine,
        gallery=gallery,
        metrics=metrics,
        tracing=tracing,
        guard=guard,
        audit=audit,
    )
    if second is not None:
        other = replace(
            service,
            pipeline=second.pipeline,
            recogniser_package=second.package,
            calibration=second.calibration,
        )
        service = replace(service, next=other)
    metrics.registry.register(Ready(service.check_ready))
    return service


def _check_rates(settings: Settings, calibration: Calibration | None) -> None:
    """Raises StartError for default rates by which nothing could ever be decided."""
    if calibration is None:
        return
    try:
        decision.threshold_at(calibration, settings.fmr)
    except RateUnsupportedError as error:
        raise StartError(f"NORMA_FMR: {error.message}") from error
    try:
        decision.identify_at(calibration, settings.fpir, faces=1)
    except RateUnsupportedError as error:
        raise StartError(f"NORMA_FPIR: {error.message}") from error


def _engine_options(settings: Settings) -> EngineOptions:
    return EngineOptions(
        workers=choose(settings).runtime.workers,
        queue=settings.queue,
        deadline=settings.deadline,
        stall=settings.stall,
        patience=settings.patience,
    )


def _observe_named(pipeline: Pipeline, name: str, photo: bytes, how: FaceSelect) -> Observation:
    """As `Pipeline.observe`, with errors that say which image they mean."""
    try:
        return pipeline.observe(photo, how, "query")
    except NormaError as error:
        error.details["image"] = name
        raise


def admit(observed: dict[str, Observation], policy: QualityPolicy) -> dict[str, Observation]:
    """What the policy lets through. Raises QualityRejectedError with the evidence of each image."""
    if policy is QualityPolicy.OFF:
        return {name: _unjudged(one) for name, one in observed.items()}
    poor = {name: one for name, one in observed.items() if one.quality.reasons}
    if policy is QualityPolicy.WARN or not poor:
        return observed
    reasons = sorted({reason for one in poor.values() for reason in one.quality.reasons})
    raise QualityRejectedError(
        f"too poor to decide on: {', '.join(reasons)}; quality=warn answers all the same",
        reasons=reasons,
        rejected={
            name: {"quality": asdict(one.quality), "box": asdict(one.face.box)}
            for name, one in poor.items()
        },
    )


def _unjudged(observed: Observation) -> Observation:
    return replace(observed, quality=replace(observed.quality, reasons=()))
