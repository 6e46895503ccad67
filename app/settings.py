"""Settings: `NORMA_…` environment variables, read once and frozen.

`app.configuration` adds the file, says every mistake, and writes the table in SETTINGS.md.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MiB = 1024 * 1024

MOST_PHOTOS = 100
"""No request takes more photos than this, whatever is set."""


class Settings(BaseSettings):
    """Everything an operator can set. Each limit says what it protects."""

    model_config = SettingsConfigDict(
        env_prefix="NORMA_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to bind. Anything but loopback needs keys, or `insecure`."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port; 0 takes a free one."""
    insecure: bool = False
    """Serve beyond loopback without keys: only behind a proxy that authenticates."""
    docs: bool | None = None
    """Serve the API's documentation without a key; where unset, on loopback alone."""
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    """Addresses or networks whose X-Forwarded-For is believed, with commas between them."""

    key_rate: Annotated[float, Field(gt=0, le=1e6)] = 200.0
    """Requests a second of one key, on average, twice as many in a burst (of several photos in one
    request each counts); more are refused (429),
    so that one caller cannot take the others' share. A key can have its own."""
    key_concurrency: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Requests of one key being served at once; more are refused (429). A key can have its own."""
    bad_keys_per_minute: Annotated[float, Field(gt=0, le=1e6)] = 20.0
    """Bad keys from one address that are answered 401; more are answered 429 and not logged."""
    claims_per_minute: Annotated[float, Field(gt=0, le=1e6)] = 60.0
    """Photos held against one subject (1:1); more are refused (429): with enough tries, each
    answered with a similarity, a picture can be bred that passes."""

    data_dir: Path = Path("norma-data")
    """Where galleries live, and packages where `packages_dir` names no other place."""
    packages_dir: Annotated[
        Path, Field(default_factory=lambda given: given["data_dir"] / "packages")
    ]
    """Where packages live, which the service only reads; `packages` in `data_dir` by default."""
    detector: str = "yunet-2023mar"
    """Detector: the name of an installed package, or a path to one."""
    recogniser: str = "sface-2021dec"
    """Recogniser: the name of an installed package, or a path to one."""
    next_recogniser: str | None = None
    """A second recogniser to serve beside the first: galleries made with it go on, and others can
    be moved to it. New galleries are the first one's."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks run. "cuda" refuses to start where CUDA does not work."""
    arithmetic: Literal["float32", "bfloat16"] = "float32"
    """How a CPU computes networks. "bfloat16" is faster and moves features by a cosine of up to
    0.0005; it needs OpenVINO and a processor with AVX512-BF16 or AMX."""
    gpus: Annotated[
        tuple[Annotated[int, Field(ge=0, le=63)], ...], NoDecode, Field(min_length=1)
    ] = (0,)
    """Numbers of the GPUs to use, with commas between them; each holds both networks."""
    batch: Annotated[int, Field(ge=0, le=256)] = 0
    """Most images of one network run, gathered across requests; 0 means 32 on GPUs and 1, which
    gathers nothing, on CPUs."""
    cuda_graphs: bool = False
    """Capture each network's run once for each shape and replay it: less work for the CPU."""
    tensorrt: bool = False
    """Run networks by TensorRT, which builds its engines at the first start (minutes)."""

    detection: Literal["thorough", "quick"] = "thorough"
    """How the largest face of a photo is found: "quick" looks at 320 pixels first and, finding a
    large face there, not for smaller ones beside it, so that `face_count` may leave these out."""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads that decode, detect, align and embed; 0 means one for each core."""
    queue: Annotated[int, Field(ge=1, le=10_000)] = 128
    """Images that may wait for a worker; more are refused at once (503), never queued."""
    deadline: Annotated[float, Field(gt=0)] = 20.0
    """Seconds from a request's complete body within which its photos are looked at, else 504."""
    stall: Annotated[float, Field(gt=0)] = 10.0
    """Seconds on one photo after which a worker counts as stuck and is replaced (503)."""
    patience: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that nothing succeeds after a failure, until `/healthz` asks for a restart."""

    gallery_concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    """Gallery requests served at once: what can share one commit, or one search."""
    gallery_queue: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """Gallery requests, and searches, that may wait; more are refused at once (503)."""
    gallery_feature_type: Literal["float16", "float32"] = "float16"
    """How stored features are kept; fixed by the first start on a data directory."""
    gallery_gpu: Annotated[int, Field(ge=0, le=63)] | None = None
    """Number of the GPU on which large galleries are searched exactly, 2 bytes a component; unset,
    the processor does it. Not yet measured on a GPU."""
    gallery_health_every: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """Seconds after which galleries that have changed are examined anew, in the background and at
    a few percent of a core; 0 examines only when asked."""
    gallery_max_bytes: Annotated[int, Field(ge=MiB)] | None = None
    """Size of the gallery's database beyond which nothing more is enrolled (507)."""

    encryption: Literal["on", "off"] = "on"
    """Whether galleries are encrypted on disk. A gallery that is not yet becomes so at the next
    start; "off" refuses to open one that is."""
    master_key_file: Path | None = None
    """File of the master key, mode 600; `data_dir`/master.key where unset, made where missing.
    Keep it on another disk than the galleries' backups."""
    master_key: SecretStr | None = None
    """The master key itself, 32 bytes in base64, instead of a file."""
    master_key_command: SecretStr | None = None
    """Command, run without a shell, that prints the master key: a KMS's client."""
    max_import_bytes: Annotated[int, Field(ge=MiB)] = 1024 * MiB
    """Bytes of one upload to import: bounds the disk that it takes, encrypted, until it is done."""
    max_import_items: Annotated[int, Field(ge=1)] = 100_000
    """Items of one upload: bounds memory, and the length of its report."""
    import_timeout: Annotated[float, Field(gt=0)] = 3600.0
    """Seconds within which an upload to import must have arrived."""
    max_jobs: Annotated[int, Field(ge=1, le=1000)] = 16
    """Unfinished jobs of one owner."""

    fmr: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    """False match rate of `verify` where the request names none."""
    fpir: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    """False positive identification rate of `identify`, and of conflicts at enrolment, where the
    request names none."""

    log_format: Literal["auto", "text", "json"] = "auto"
    """How log lines look; "auto" is text on a terminal and JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: from "info" up a line for each request; health checks that succeed are
    "debug"."""

    traces: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")] | None = None
    """OTLP/HTTP collector that OpenTelemetry spans are sent to, as http://127.0.0.1:4318; needs the
    `tracing` extra. Spans hold nothing of what a caller sent."""
    traces_sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of requests that are traced, where the caller's `traceparent` does not say."""

    drain: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Seconds from SIGTERM during which requests are still taken, while `/readyz` refuses and every
    answer closes its connection: what a load balancer needs to notice."""
    grace: Annotated[int, Field(ge=1, le=3600)] = 30
    """Seconds that requests in flight then have to end before they are cut off."""

    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port of `GET /metrics` for Prometheus, never the API's own; unset answers none, 0 takes a
    free one. It needs no key and names nobody."""
    metrics_host: str = "127.0.0.1"
    """Address of the metrics' port: loopback, or the network of the machine that collects them."""

    max_image_bytes: Annotated[int, Field(ge=1024)] = 10 * MiB
    """Bytes of one image: bounds memory and decoding time."""
    max_photos: Annotated[int, Field(ge=1, le=MOST_PHOTOS)] = 20
    """Photos of one request that takes several."""
    max_photos_bytes: Annotated[int, Field(ge=MiB)] = 128 * MiB
    """Bytes of the body of one such request: what one caller can make the service hold."""
    max_pixels: Annotated[int, Field(ge=10_000)] = 16_000_000
    """Pixels of one PNG or WebP: these decode whole, at up to 22 bytes a pixel."""
    max_jpeg_pixels: Annotated[int, Field(ge=10_000)] = 64_000_000
    """Pixels of one JPEG: larger ones than needed are decoded scaled down, never whole."""
    max_side: Annotated[int, Field(ge=64)] = 12_000
    """Longest side in pixels."""
    max_aspect: Annotated[float, Field(ge=1)] = 20.0
    """Longest side over shortest side."""
    min_side: Annotated[int, Field(ge=1)] = 16
    """Shortest side in pixels; no face fits into less."""
    decode_memory: Annotated[int, Field(ge=16 * MiB)] = 1024 * MiB
    """Bytes that images being decoded may take together; more are refused at once (503)."""
    body_timeout: Annotated[float, Field(gt=0)] = 30.0
    """Seconds within which a request body must have arrived."""
    min_body_rate: Annotated[int, Field(ge=0)] = 1024
    """Bytes a second below which a body is given up, after five seconds of grace; 0 for none."""

    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 800
    """Connections at once; beyond, the one that has been idle longest is closed."""
    max_head_bytes: Annotated[int, Field(ge=1024, le=MiB)] = 32 * 1024
    """Bytes of a request's line and headers."""
    max_headers: Annotated[int, Field(ge=8, le=1000)] = 100
    """Header fields of a request."""
    head_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds within which a request's line and headers must have arrived."""
    write_timeout: Annotated[float, Field(gt=0)] = 30.0
    """Seconds for which a client may read nothing of its answer before it is cut off."""

    min_face: Annotated[float, Field(ge=0)] = 32.0
    """Shorter side of a face's box in pixels under which it is `face_too_small`."""

    @property
    def max_body_bytes(self) -> int:
        """Two images in base64, and some room for the envelope."""
        return 2 * (self.max_image_bytes * 4 // 3) + MiB

    @property
    def max_many_bytes(self) -> int:
        """The same for a request of several photos."""
        return max(self.max_photos_bytes, self.max_body_bytes)

    @property
    def gallery_dir(self) -> Path:
        return self.data_dir / "gallery"

    @property
    def audit_dir(self) -> Path:
        return self.data_dir / "audit"

    @property
    def key_file(self) -> Path:
        return self.master_key_file or self.data_dir / "master.key"

    @property
    def access_dir(self) -> Path:
        """The keys of callers, and the secret that they are checked with."""
        return self.data_dir / "access"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return _is_loopback(self.host)

    @property
    def docs_open(self) -> bool:
        """Whether the API's documentation is served without a key."""
        return self.loopback if self.docs is None else self.docs

    @field_validator("trusted_proxies", "gpus", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [one.strip() for one in value.split(",") if one.strip()]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if problems := list(self._impossible()):
            raise ValueError("; ".join(problems))
        return self

    def _impossible(self) -> Iterator[str]:
        """Settings that are each in range, and cannot go together."""
        if self.min_side > self.max_side:
            yield (
                f"NORMA_MIN_SIDE={self.min_side} and NORMA_MAX_SIDE={self.max_side} let no image in"
            )
        for name in ("max_pixels", "max_jpeg_pixels"):
            if getattr(self, name) < self.min_side**2:
                yield (
                    f"NORMA_{name.upper()}={getattr(self, name)} is less than the "
                    f"{self.min_side}×{self.min_side} of NORMA_MIN_SIDE: it lets no image in"
                )
        if self.device == "cuda" and self.arithmetic != "float32":
            yield f"NORMA_ARITHMETIC={self.arithmetic} is of CPUs: NORMA_DEVICE=cuda is float32"
        if self.metrics_port is not None and self.metrics_port == self.port != 0:
            yield f"NORMA_METRICS_PORT={self.port} is the API's own port: give it another"
        if self.grace < self.deadline:
            yield (
                f"NORMA_GRACE={self.grace} is less than NORMA_DEADLINE={self.deadline:g}: the end "
                "would cut off requests that are within their time"
            )
        given = (self.master_key_file, self.master_key, self.master_key_command)
        if sum(one is not None for one in given) > 1:
            yield "give one of NORMA_MASTER_KEY, NORMA_MASTER_KEY_FILE, NORMA_MASTER_KEY_COMMAND"
        if self.encryption == "off" and any(one is not None for one in given):
            yield "NORMA_ENCRYPTION=off leaves the master key unused: give one or the other"
        if any(network.prefixlen == 0 for network in self.trusted_proxies):
            yield "NORMA_TRUSTED_PROXIES must not be every address: name the proxy's"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
