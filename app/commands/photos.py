"""`norma detect`, `norma embed` and `norma verify`: the pipeline on files, without a server."""

import base64
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import orjson
import typer
from numpy.typing import NDArray
from rich.markup import escape

from app import decision
from app.commands.common import out, read_photo, settings
from app.domain import Face, FaceSelect, Observation, QualityPolicy, Verdict
from app.errors import StartError
from app.service import admit, build_pipeline

Photo = Annotated[Path, typer.Argument(help="JPEG, PNG or WebP.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Select = Annotated[FaceSelect, typer.Option("--face", help="Which of several faces.")]


def _within(lowest: float, highest: float) -> Callable[[float | None], float | None]:
    """A check of an option; NaN, which no comparison holds for, is refused too."""

    def check(value: float | None) -> float | None:
        if value is not None and not lowest <= value <= highest:
            raise typer.BadParameter(f"must lie between {lowest:g} and {highest:g}")
        return value

    return check


Rate = Annotated[
    float | None, typer.Option(help="False match rate to decide at.", callback=_within(1e-12, 1))
]
Cosine = Annotated[
    float | None, typer.Option(help="A cosine to decide at instead.", callback=_within(-1, 1))
]
ReviewRate = Annotated[
    float | None,
    typer.Option(
        "--review-fmr",
        help="A looser rate: scores between the two thresholds are inconclusive.",
        callback=_within(1e-12, 1),
    ),
]
Policy = Annotated[QualityPolicy, typer.Option("--quality", help="What happens to poor faces.")]


NO_MATCH, INCONCLUSIVE = 3, 4
"""Exit statuses; 1 is an error and 2 a command that was written wrongly."""
_WORDS = {
    Verdict.MATCH: "[green]match[/]",
    Verdict.NO_MATCH: "[red]no match[/]",
    Verdict.INCONCLUSIVE: "[yellow]inconclusive[/]",
}


def detect(
    photo: Photo,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Annotated picture.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find faces and save the photo with boxes and landmarks drawn in."""
    data = read_photo(photo)
    pipeline, _, _ = build_pipeline(settings())
    found = pipeline.detect(data)
    target = output or photo.with_name(f"{photo.stem}.faces.png")
    _save(target, _drawn(found.image.pixels, found.faces, found.image.scale))
    if as_json:
        _print_json({"faces": [_face(face) for face in found.faces], "picture": str(target)})
        return
    size = f"{found.image.width}×{found.image.height}"
    out.print(f"{len(found.faces)} face(s) in {photo}, {size}", markup=False)
    for face in found.faces:
        box = face.box
        out.print(
            f"  score {face.score:.3f}  {box.width:.0f}×{box.height:.0f} pixels at "
            f"({box.left:.0f}, {box.top:.0f})"
        )
    out.print(f"saved {target}", markup=False)


def embed(
    photo: Photo,
    face: Select = FaceSelect.LARGEST,
    quality: Policy = QualityPolicy.WARN,
) -> None:
    """Print one face's raw feature, norm and quality as JSON."""
    data = read_photo(photo)
    pipeline, _, recogniser = build_pipeline(settings())
    observed = pipeline.observe(data, face, "query")
    observed = admit({"image": observed}, quality)["image"]
    feature = observed.embedding.feature.astype("<f4")
    _print_json(
        _side(observed)
        | {
            "recogniser": recogniser.name,
            "contract_id": observed.embedding.contract_id,
            "feature_base64": base64.b64encode(feature.tobytes()).decode(),
        }
    )


def verify(
    photo_a: Photo,
    photo_b: Photo,
    fmr: Rate = None,
    threshold: Cosine = None,
    review_fmr: ReviewRate = None,
    face: Select = FaceSelect.LARGEST,
    quality: Policy = QualityPolicy.REJECT,
    as_json: Json = False,
) -> None:
    """Do two photos show the same person? Status 0 for a match, 3 for none, 4 inconclusive."""
    if threshold is not None and review_fmr is not None:
        raise typer.BadParameter("give rates (--fmr, --review-fmr) or a --threshold, not both")
    photos = {"image_a": read_photo(photo_a), "image_b": read_photo(photo_b)}
    chosen = settings()
    pipeline, _, recogniser = build_pipeline(chosen)
    table = recogniser.calibration()
    limit = (
        decision.threshold_given(threshold)
        if threshold is not None
        else decision.threshold_at(table, fmr or chosen.fmr)
    )
    if review_fmr is not None:
        limit = decision.with_review(limit, table, review_fmr)
    seen = {name: pipeline.observe(photo, face, "query") for name, photo in photos.items()}
    a, b = admit(seen, quality).values()
    same = photos["image_a"] == photos["image_b"]
    verdict = decision.decide(a, b, limit, same, table.scoring if table else None)
    if as_json:
        _print_json(
            asdict(verdict) | {"match": verdict.match, "image_a": _side(a), "image_b": _side(b)}
        )
    else:
        rate = f" (FMR {limit.fmr:g}, {escape(limit.data or '')})" if limit.fmr else " (given)"
        word = _WORDS[verdict.verdict]
        out.print(f"{word}: similarity {verdict.similarity:.4f}, threshold {limit.value:.4f}{rate}")
    if not verdict.match:
        raise typer.Exit(INCONCLUSIVE if verdict.verdict is Verdict.INCONCLUSIVE else NO_MATCH)


def _drawn(pixels: NDArray[np.uint8], faces: list[Face], scale: float) -> NDArray[np.uint8]:
    canvas = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    thick = max(1, round(max(canvas.shape) / 600))
    for face in faces:
        box = face.box
        corners = np.array([[box.left, box.top], [box.right, box.bottom]]) * scale
        (x0, y0), (x1, y1) = corners.round().astype(int).tolist()
        cv2.rectangle(canvas, (x0, y0), (x1, y1), (80, 200, 60), thick)
        label = f"{face.score:.2f}"
        cv2.putText(canvas, label, (x0, y0 - 3 * thick), 0, 0.4 * thick, (80, 200, 60), thick)
        for x, y in (face.landmarks * scale).round().astype(int).tolist():
            cv2.circle(canvas, (x, y), 2 * thick, (40, 60, 240), -1)
    return np.asarray(canvas, dtype=np.uint8)


def _save(target: Path, picture: NDArray[np.uint8]) -> None:
    if not cv2.haveImageWriter(str(target)):
        raise StartError(f"{target}: give the picture a name that ends in .png or .jpg")
    if not cv2.imwrite(str(target), picture):
        raise StartError(f"{target}: cannot be written")


def _face(face: Face) -> dict[str, Any]:
    return asdict(face.box) | {"score": face.score, "landmarks": face.landmarks.tolist()}


def _side(observed: Observation) -> dict[str, Any]:
    return {
        "face": _face(observed.face),
        "faces_found": observed.face_count,
        "quality": asdict(observed.quality),
    }


def _print_json(value: dict[str, Any]) -> None:
    out.print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(), markup=False)
