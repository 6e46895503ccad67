"""InsightFace packs (buffalo_l, antelopev2 …): a directory of ONNX files, two of which we use."""

from pathlib import Path

import onnx

from export import repair
from export.contract import ARCFACE_112, Preprocessing
from export.errors import ImportFailedError
from export.importers.networks import (
    About,
    detector_defaults,
    import_detector,
    import_recogniser,
)
from export.manifest import Licence, Training
from export.package import Package

_LICENCE = Licence(
    name="InsightFace non-commercial research",
    commercial_use=False,
    url="https://github.com/deepinsight/insightface#license",
)
_NORMALISING = frozenset({"Sub", "Mul"})
_HEAD = 8


def import_pack(directory: Path, name: str, packages_dir: Path) -> list[Package]:
    """The pack's detector and recogniser as the packages `name`-detector and `name`-recogniser.

    Told apart by their inputs and outputs, as file names vary; attribute and landmark networks
    are left out. Raises ImportFailedError where one of the two is missing.
    """
    roles = {role: _find(directory, role) for role in ("detector", "recogniser")}
    detector = import_detector(
        packages_dir / f"{name}-detector",
        roles["detector"].read_bytes(),
        _about(name, "detector", roles["detector"]),
        detector_defaults("scrfd"),
    )
    data = roles["recogniser"].read_bytes()
    recogniser = import_recogniser(
        packages_dir / f"{name}-recogniser",
        data,
        _about(name, "recogniser", roles["recogniser"]),
        pixel_arithmetic(repair.parse(data, roles["recogniser"].name)),
        ARCFACE_112,
    )
    return [detector, recogniser]


def pixel_arithmetic(model: onnx.ModelProto) -> Preprocessing:
    """What must still be done to pixels: nothing where the graph begins by normalising them.

    Judged by operators, not by node names: unnamed nodes would be normalised twice, which gives
    plausible but wrong features.
    """
    head = {node.op_type for node in model.graph.node[:_HEAD]}
    if head >= _NORMALISING:
        return Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return Preprocessing("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))


def _find(directory: Path, role: str) -> Path:
    for path in sorted(directory.glob("*.onnx")):
        if _role(repair.parse(path.read_bytes(), path.name)) == role:
            return path
    raise ImportFailedError(f"{directory}: no ONNX file in it looks like a {role}")


def _role(model: onnx.ModelProto) -> str:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    outputs = model.graph.output
    if len(inputs) != 1 or len(outputs) not in (1, 9):
        return "other"
    if len(outputs) == 9:
        return "detector"
    sides = [entry.dim_value for entry in inputs[0].type.tensor_type.shape.dim[2:]]
    shape = outputs[0].type.tensor_type.shape.dim
    width = shape[-1].dim_value if shape else 0
    # Age, gender and landmark networks also have one output, but of other sizes.
    if sides == [112, 112] and (width == 0 or width % 64 == 0):
        return "recogniser"
    return "other"


def _about(name: str, role: str, path: Path) -> About:
    return About(
        name=f"{name}-{role}",
        version="1",
        description=f"{role.capitalize()} {path.name} of the InsightFace pack {name}",
        source=f"InsightFace pack {name}, {path.name}",
        licence=_LICENCE,
        training=Training(data="as published by InsightFace for this pack", loss="see the pack"),
    )
