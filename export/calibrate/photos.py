"""Labelled photos to labelled features, through any pipeline that finds and embeds faces."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from export.calibrate.labels import Attempts, LabelledFeatures, Measures, encode
from export.errors import CalibrationError

_BATCH = 32
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo and whose it is; `name` is its path below the photos' folder."""

    name: str
    subject: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class PhotoList:
    """What is to be measured: photos, and the pairs of them where a list was given."""

    root: Path
    photos: tuple[LabelledPhoto, ...] = field(repr=False)
    pairs: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)


class Failure(Enum):
    """Why a photo gave no face."""

    UNDECODABLE = "undecodable"
    UNDETECTED = "undetected"


@dataclass(frozen=True, slots=True)
class FoundFace:
    """One photo's face, aligned: uint8 RGB of the recogniser's template, and its measures."""

    crop: NDArray[np.uint8] = field(repr=False)
    detector_score: float
    face_size: float


class FaceSource(Protocol):
    """A detector and a recogniser, as calibration sees them."""

    @property
    def contract_id(self) -> str: ...

    @property
    def detector(self) -> str:
        """The detector's name, for the record."""
        ...

    def find(self, photo: Path) -> FoundFace | Failure:
        """The photo's face, or why there is none. Called from several threads at once."""
        ...

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw features (N, D) of aligned crops."""
        ...

    def sharpness(self, crop: NDArray[np.uint8]) -> float:
        """The pipeline's own measure of an aligned crop's sharpness."""
        ...


Degrader = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
"""Crops and a seed to crops made worse."""
Progress = Callable[[int], None]
"""Called with the number of photos that were dealt with since the last call."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """The features of all photos with a face, and of the same faces made worse where asked for."""

    features: LabelledFeatures
    degraded: LabelledFeatures | None


def from_folder(root: Path) -> PhotoList:
    """Photos in `root/SUBJECT/…`, sorted by name."""
    photos = tuple(
        LabelledPhoto(file.relative_to(root).as_posix(), folder.name)
        for folder in sorted(path for path in root.iterdir() if path.is_dir())
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in _SUFFIXES
    )
    if not photos:
        raise CalibrationError(f"{root}: no SUBJECT/PHOTO files (JPEG, PNG, WebP)")
    return PhotoList(root, photos)


def from_pairs(file: Path, root: Path) -> PhotoList:
    """Pairs from a CSV file with a header, or in LFW's form.

    CSV: `photo_a,subject_a,photo_b,subject_b`, photos as paths below `root`. LFW: lines of
    `NAME I J` (same person) or `NAME I OTHER J`, photos at `root/NAME/NAME_0001.jpg`.
    """
    text = file.read_text(encoding="utf-8")
    rows = list(_csv_pairs(text, file) if text.startswith("photo_a") else _lfw_pairs(text, file))
    photos = sorted(
        {photo for pair in rows for photo in pair}, key=lambda photo: (photo.subject, photo.name)
    )
    if len({photo.name for photo in photos}) != len(photos):
        raise CalibrationError(f"{file}: a photo is listed under two subjects")
    return PhotoList(root, tuple(photos), tuple((a.name, b.name) for a, b in rows))


def with_groups(listed: PhotoList, file: Path) -> PhotoList:
    """The same photos with the groups of a CSV file of `subject,group`."""
    with file.open(encoding="utf-8", newline="") as lines:
        groups = {row["subject"]: row["group"] for row in csv.DictReader(lines)}
    photos = tuple(
        LabelledPhoto(photo.name, photo.subject, groups.get(photo.subject, ""))
        for photo in listed.photos
    )
    return PhotoList(listed.root, photos, listed.pairs)


def _csv_pairs(text: str, file: Path) -> Iterator[tuple[LabelledPhoto, LabelledPhoto]]:
    for row in csv.DictReader(text.splitlines()):
        try:
            yield (
                LabelledPhoto(row["photo_a"], row["subject_a"]),
                LabelledPhoto(row["photo_b"], row["subject_b"]),
            )
        except KeyError as error:
            raise CalibrationError(f"{file}: no column {error}") from error


def _lfw_pairs(text: str, file: Path) -> Iterator[tuple[LabelledPhoto, LabelledPhoto]]:
    for number, line in enumerate(text.splitlines(), start=1):
        match line.split():
            case [name, first, second]:
                yield _lfw_photo(name, first), _lfw_photo(name, second)
            case [name, first, other, second]:
                yield _lfw_photo(name, first), _lfw_photo(other, second)
            case []:
                continue
            case fields if all(part.isdigit() for part in fields) and number == 1:
                continue  # how many pairs, or sets and pairs
            case _:
                raise CalibrationError(f"{file}:{number}: not a pair of LFW's form")


def _lfw_photo(name: str, number: str) -> LabelledPhoto:
    return LabelledPhoto(f"{name}/{name}_{int(number):04d}.jpg", name)


def extract(
    listed: PhotoList,
    source: FaceSource,
    degrader: Degrader | None = None,
    progress: Progress = lambda _: None,
) -> Extraction:
    """Find and embed the face of every photo, a small batch at a time, on all cores.

    With `degrader`, each crop is also embedded made worse. Raises CalibrationError where no photo
    has a face.
    """
    gatherer = _Gatherer(source, degrader)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(listed.photos), _BATCH):
            part = listed.photos[start : start + _BATCH]
            paths = [listed.root / photo.name for photo in part]
            gatherer.add(part, list(threads.map(source.find, paths)))
            progress(len(part))
    return gatherer.extraction(len(listed.photos))


class _Gatherer:
    def __init__(self, source: FaceSource, degrader: Degrader | None) -> None:
        self._source = source
        self._degrader = degrader
        self._failures: list[Failure] = []
        self._photos: list[LabelledPhoto] = []
        self._faces: list[tuple[float, float]] = []
        self._plain = _Embedded()
        self._worse = _Embedded()

    def add(self, photos: Sequence[LabelledPhoto], found: Sequence[FoundFace | Failure]) -> None:
        crops = []
        for photo, face in zip(photos, found, strict=True):
            if isinstance(face, Failure):
                self._failures.append(face)
                continue
            self._photos.append(photo)
            self._faces.append((face.detector_score, face.face_size))
            crops.append(face.crop)
        if not crops:
            return
        crops_NHWC = np.stack(crops)
        self._plain.add(crops_NHWC, self._source)
        if self._degrader is not None:
            self._worse.add(self._degrader(crops_NHWC, len(self._photos)), self._source)

    def extraction(self, attempted: int) -> Extraction:
        if not self._photos:
            raise CalibrationError(f"no face in any of {attempted} photos")
        attempts = Attempts(
            photos=attempted,
            undecodable=self._failures.count(Failure.UNDECODABLE),
            undetected=self._failures.count(Failure.UNDETECTED),
        )
        worse = self._labelled(self._worse, attempts) if self._degrader is not None else None
        return Extraction(self._labelled(self._plain, attempts), worse)

    def _labelled(self, embedded: "_Embedded", attempts: Attempts) -> LabelledFeatures:
        scores, sizes = np.asarray(self._faces, dtype=np.float32).T
        groups = np.asarray([photo.group for photo in self._photos], dtype=np.str_)
        return LabelledFeatures(
            contract_id=self._source.contract_id,
            features_ND=np.concatenate(embedded.features),
            subjects_N=encode([photo.subject for photo in self._photos]),
            names=tuple(photo.name for photo in self._photos),
            attempts=attempts,
            measures=Measures(scores, sizes, np.asarray(embedded.sharpness, dtype=np.float32)),
            groups_N=groups if groups.astype(bool).any() else None,
        )


class _Embedded:
    """Features and sharpness of crops, batch after batch."""

    def __init__(self) -> None:
        self.features: list[NDArray[np.float32]] = []
        self.sharpness: list[float] = []

    def add(self, crops_NHWC: NDArray[np.uint8], source: FaceSource) -> None:
        self.features.append(source.embed(crops_NHWC))
        self.sharpness.extend(source.sharpness(crop) for crop in crops_NHWC)
