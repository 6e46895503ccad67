"""Where a command's labelled data come from: photos through a pipeline, or features from a file.

Photos become features through whatever pipeline the program brings as the context's object (an
`OpenFaces`), since this room does not know the service.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from export import package
from export.calibrate import labels, photos
from export.calibrate.photos import Extraction, FaceSource, PhotoList
from export.errors import CalibrationError
from export.places import packages_dir

PackageName = Annotated[str, typer.Argument(help="An installed package, or its path.")]
Folder = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="Photos in SUBJECT/PHOTO.")
]
Pairs = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Pairs: CSV, or LFW's form.")
]
PhotosAt = Annotated[
    Path | None, typer.Option("--photos", exists=True, file_okay=False, help="The pairs' photos.")
]
Features = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Features instead of photos: npz.")
]
Groups = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="CSV of subject,group.")
]
ListedOnly = Annotated[
    bool, typer.Option(help="Compare only the listed pairs, not all photos with each other.")
]
Face = Annotated[
    Literal["largest", "center", "only"], typer.Option("--face", help="Which of several faces.")
]
Detector = Annotated[str, typer.Option(help="The detector's package.")]
DEFAULT_DETECTOR = "yunet-2023mar"
_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)


class OpenFaces(Protocol):
    """Opens the pipeline that calibration measures."""

    def __call__(self, recogniser: str, detector: str, face: str, data_dir: Path) -> FaceSource:
        """A detector and a recogniser, by package name or path."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """Where labelled data come from: exactly one of folder, pairs and features."""

    folder: Path | None
    pairs: Path | None
    photos: Path | None
    features: Path | None
    groups: Path | None = None

    def listed(self) -> PhotoList:
        """The photos; CalibrationError where the options do not add up."""
        if self.folder is not None:
            listed = photos.from_folder(self.folder)
        elif self.pairs is not None and self.photos is not None:
            listed = photos.from_pairs(self.pairs, self.photos)
        else:
            raise CalibrationError("give --folder, or --pairs with --photos, or --features")
        return listed if self.groups is None else photos.with_groups(listed, self.groups)

    def read(
        self, open_source: Callable[[], FaceSource], degrade: bool = False
    ) -> tuple[Extraction, PhotoList | None]:
        """Features from their file, or from photos through the pipeline."""
        if self.features is not None:
            return Extraction(labels.load(self.features), None), None
        from export.quality.degrade import degrade as worse

        listed = self.listed()
        with Progress(*_COLUMNS, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("photos", total=len(listed.photos))
            made = photos.extract(
                listed, open_source(), worse if degrade else None, lambda n: bar.advance(task, n)
            )
        return made, listed


def load(name: str, data_dir: Path) -> package.Package:
    """A package by name or by path, verified."""
    return package.load(Path(name) if "/" in name else packages_dir(data_dir) / name)


def opener(
    context: typer.Context, name: str, detector: str, face: str, data_dir: Path
) -> Callable[[], FaceSource]:
    """Opens the program's pipeline when it is needed; features from a file never need it."""

    def open_source() -> FaceSource:
        faces: OpenFaces | None = context.obj
        if faces is None:
            raise CalibrationError("this program has no face pipeline: give --features")
        return faces(name, detector, face, data_dir)

    return open_source
