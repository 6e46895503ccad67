"""`norma data prepare`: a folder of photos to a folder of aligned crops, ready for training."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.progress import track

from app.commands.common import out, settings
from app.domain import FaceSelect
from app.errors import NormaError, StartError
from app.pipeline import Pipeline
from app.service import build_pipeline
from app.vision.align import align
from app.vision.select import select
from export.contract import TEMPLATES, AlignmentTemplate

data = typer.Typer(help="Photos for training.", no_args_is_help=True)

JOURNAL = "prepared.jsonl"
_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
KEPT = "kept"


@dataclass(frozen=True, slots=True)
class _Job:
    pipeline: Pipeline
    template: AlignmentTemplate
    how: FaceSelect
    min_face: float
    source: Path
    target: Path

    def run(self, photo: Path) -> str:
        """Write one photo's crop. Returns KEPT, or the code of the reason it was dropped."""
        try:
            found = self.pipeline.detect((self.source / photo).read_bytes())
            face = select(found.faces, found.image, self.how)
            if min(face.box.width, face.box.height) < self.min_face:
                return "face_too_small"
            crop = align(found.image, face, self.template)
        except NormaError as error:
            return error.code
        except OSError:
            return "unreadable"
        place = self.target / f"{photo}.png"  # the whole name: a.jpg and a.png are two photos
        place.parent.mkdir(parents=True, exist_ok=True)
        # The name is final only once the file is whole: an interruption leaves no half crop.
        part = place.with_name(f".{place.name}.part.png")
        cv2.imwrite(str(part), crop[..., ::-1])
        part.replace(place)
        return KEPT


@data.command()
def prepare(
    photos: Annotated[Path, typer.Argument(exists=True, file_okay=False, show_default=False)],
    crops: Annotated[Path, typer.Argument(file_okay=False, show_default=False)],
    face: Annotated[FaceSelect, typer.Option(help="Which of several faces.")] = FaceSelect.LARGEST,
    min_face: Annotated[float, typer.Option(help="Shorter side of a face, in pixels.")] = 32,
    template: Annotated[str, typer.Option(help=f"One of {', '.join(TEMPLATES)}.")] = "arcface-112",
) -> None:
    """Find, align and crop the face of every photo PHOTOS/PERSON/FILE into CROPS/PERSON/FILE.png.

    Run it again to go on where it stopped; photos that were seen are not looked at again.
    """
    if template not in TEMPLATES:
        raise typer.BadParameter(f"is none of {', '.join(TEMPLATES)}", param_hint="--template")
    listed = sorted(_photos(photos))
    if not listed:
        raise StartError(f"{photos}: holds no photos in the form PERSON/FILE.jpg")
    pipeline, _, _ = build_pipeline(settings())
    job = _Job(pipeline, TEMPLATES[template], face, min_face, photos, crops)
    crops.mkdir(parents=True, exist_ok=True)
    journal = crops / JOURNAL
    seen = _read(journal, {"face": face, "min_face": min_face, "template": template})
    left = [photo for photo in listed if str(photo) not in seen]
    seen |= _outcomes(job, left, journal)
    _report({str(photo): seen[str(photo)] for photo in listed})


def _photos(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        photo = path.relative_to(root)
        if path.suffix.lower() in _PHOTOS and len(photo.parts) >= 2:
            yield photo


def _outcomes(job: _Job, photos: list[Path], journal: Path) -> dict[str, str]:
    """Each photo's outcome, in the journal as soon as it is known."""
    outcomes = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads, journal.open("a") as file:
        results = threads.map(job.run, photos)
        for photo, outcome in zip(photos, track(results, "aligning", len(photos)), strict=True):
            file.write(json.dumps({"photo": str(photo), "outcome": outcome}) + "\n")
            file.flush()
            outcomes[str(photo)] = outcome
    return outcomes


def _read(journal: Path, options: dict[str, object]) -> dict[str, str]:
    """Outcomes so far; a line that an interruption cut short is left out.

    Raises StartError where the crops were made with other options.
    """
    if not journal.is_file():
        journal.write_text(json.dumps({"options": options}) + "\n")
    seen = {}
    for line in journal.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry.get("options", options) != options:
            raise StartError(f"{journal}: made with other options, {entry['options']}")
        if "photo" in entry:
            seen[entry["photo"]] = entry["outcome"]
    return seen


def _report(seen: dict[str, str]) -> None:
    counts = Counter(seen.values())
    people = {Path(photo).parts[0] for photo, outcome in seen.items() if outcome == KEPT}
    out.print(f"{counts[KEPT]:,} crops of {len(people):,} people from {len(seen):,} photos")
    for reason, count in counts.most_common():
        if reason != KEPT:
            out.print(f"  dropped {count:,}: {reason}")
