"""One ONNX file and a few facts about it become one package."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from export import card, contract, golden, package, repair, runtime
from export import manifest as schema
from export.contract import AlignmentTemplate, Preprocessing
from export.errors import ImportFailedError
from export.graphs import rewrite_prelu, sort_nodes
from export.package import Package

Family = Literal["scrfd", "yunet"]

DETECTOR_OUTPUTS: Mapping[Family, int] = {"scrfd": 9, "yunet": 12}
_YUNET_HEADS = ("cls", "obj", "bbox", "kps")
_SCRFD_WIDTHS = (1, 4, 10)
_SCRFD_ANCHORS = 2
_GOLDEN_SIDE = 160


@dataclass(frozen=True, slots=True)
class About:
    """What people must know of the weights; nothing here can be read from the file."""

    name: str
    version: str
    description: str
    source: str
    licence: schema.Licence
    training: schema.Training


@dataclass(frozen=True, slots=True)
class DetectorFacts:
    """How a detector's network is fed and read."""

    family: Family
    preprocessing: Preprocessing
    score_threshold: float
    nms_threshold: float
    input_sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Network:
    """A repaired graph that has been seen to run."""

    data: bytes
    input: str
    opset: int
    fixed_batch: bool
    outputs: list[str]
    golden_inputs: NDArray[np.uint8] = field(repr=False)
    golden_outputs: list[NDArray[np.float32]] = field(repr=False)


SCRFD_INPUT = Preprocessing("RGB", (127.5, 127.5, 127.5), (128.0, 128.0, 128.0))
YUNET_INPUT = Preprocessing("BGR", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def detector_defaults(family: Family) -> DetectorFacts:
    """The published way to feed a family. YuNet's scores are products and run lower."""
    if family == "scrfd":
        return DetectorFacts(family, SCRFD_INPUT, 0.5, 0.4, (640,))
    return DetectorFacts(family, YUNET_INPUT, 0.6, 0.3, (640,))


def import_recogniser(
    destination: Path,
    data: bytes,
    about: About,
    preprocessing: Preprocessing,
    template: AlignmentTemplate,
    tables: Callable[[str], Mapping[str, bytes]] = lambda contract_id: {},
    *,
    keep_prelu: bool = False,
) -> Package:
    """An ArcFace-style network (aligned crop in, feature out) as a package at `destination`.

    `tables` gives further files, which may have to carry the contract id. PReLUs are rewritten
    into what ONNX Runtime does fast on CPUs (the same features) unless `keep_prelu`. Raises
    ImportFailedError when the file is no such network.
    """
    model = repair.tidy(repair.parse(data, about.name))
    if not keep_prelu and rewrite_prelu(model):
        sort_nodes(model)
    network = _settle(model, about.name, golden.inputs(template.size), preprocessing)
    features_ND = _features(network, about.name)
    dim = features_ND.shape[1]
    space = contract.contract_id(package.sha256(network.data), preprocessing, template, dim)
    lengths_N = contract.norms(features_ND)
    facts = _facts(about, network, preprocessing) | {
        "kind": "recogniser",
        "template": {
            "name": template.name,
            "size": template.size,
            "points": [list(point) for point in template.points],
        },
        "output": network.outputs[0],
        "dim": dim,
        "normalised": bool(np.allclose(lengths_N, 1.0, atol=1e-3)),
        "contract_id": space,
    }
    arrays: dict[str, NDArray[Any]] = {
        golden.INPUTS: network.golden_inputs,
        golden.FEATURES: features_ND,
    }
    files = {schema.MODEL: network.data, schema.GOLDEN: package.npz(arrays)}
    return card.refresh(package.write(destination, files | dict(tables(space)), facts))


def import_detector(
    destination: Path, data: bytes, about: About, settings: DetectorFacts
) -> Package:
    """A SCRFD or YuNet network with five landmarks as a package at `destination`.

    Raises ImportFailedError when the file is no such network.
    """
    model = repair.tidy(repair.parse(data, about.name))
    inputs = golden.inputs(_GOLDEN_SIDE, count=2)
    network = _settle(model, about.name, inputs, settings.preprocessing, settings.family)
    order = _output_order(settings.family, network, about.name)
    facts = _facts(about, network, settings.preprocessing) | {
        "kind": "detector",
        "family": settings.family,
        "outputs": [network.outputs[n] for n in order],
        "score_threshold": settings.score_threshold,
        "nms_threshold": settings.nms_threshold,
        "input_sizes": list(settings.input_sizes),
    }
    arrays: dict[str, NDArray[Any]] = {golden.INPUTS: network.golden_inputs}
    arrays |= {f"output_{k}": network.golden_outputs[n] for k, n in enumerate(order)}
    return package.write(
        destination, {schema.MODEL: network.data, schema.GOLDEN: package.npz(arrays)}, facts
    )


def _settle(
    model: onnx.ModelProto,
    where: str,
    inputs: NDArray[np.uint8],
    preprocessing: Preprocessing,
    family: Family | None = None,
) -> _Network:
    """Free the batch (a detector's sides too) where the graph honours it; record what it gives."""
    _check_input(model, where)
    if family:
        repair.free_sides(model)
    single = repair.fix_batch(model).SerializeToString()
    batched = repair.free_batch(model).SerializeToString()
    tensor = preprocessing(inputs)
    one_by_one = [_run_one(single, where, tensor[n : n + 1]) for n in range(len(tensor))]
    _check_outputs([output for outputs in one_by_one for output in outputs], where)
    together = _run_batch(batched, where, tensor)
    fixed = together is None or not _same(one_by_one, together, family)
    data = single if fixed else batched
    chosen = (inputs[:1], one_by_one[0]) if fixed or family else (inputs, together)
    return _Network(
        data=data,
        input=model.graph.input[0].name,
        opset=next(
            entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")
        ),
        fixed_batch=fixed,
        outputs=[output.name for output in model.graph.output],
        golden_inputs=chosen[0],
        golden_outputs=list(chosen[1] or []),
    )


def _run_one(
    data: bytes, where: str, tensor_1CHW: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    return runtime.run(runtime.open_model(data, where), tensor_1CHW, where)


def _run_batch(
    data: bytes, where: str, tensor_NCHW: NDArray[np.float32]
) -> list[NDArray[np.float32]] | None:
    try:
        return _run_one(data, where, tensor_NCHW)
    except ImportFailedError:
        return None


def _check_input(model: onnx.ModelProto, where: str) -> None:
    names = [entry.name for entry in model.graph.input]
    if len(names) != 1:
        raise ImportFailedError(f"{where}: has the inputs {names}, one image is expected")
    rank = len(model.graph.input[0].type.tensor_type.shape.dim)
    if rank != 4:
        raise ImportFailedError(
            f"{where}: its input {names[0]!r} has {rank} dimensions, (batch, channel, height, "
            "width) is expected"
        )


def _check_outputs(outputs: list[NDArray[np.float32]], where: str) -> None:
    for output in outputs:
        if output.dtype != np.float32 or output.ndim == 0:
            raise ImportFailedError(
                f"{where}: gives {output.dtype} of shape {output.shape}, float32 is expected"
            )
        if not np.all(np.isfinite(output)):
            raise ImportFailedError(f"{where}: gives numbers that are not finite")


def _same(
    one_by_one: list[list[NDArray[np.float32]]],
    together: list[NDArray[np.float32]],
    family: Family | None,
) -> bool:
    """Whether a batch gives the numbers of its images alone, where the service looks for them."""
    for k, batched in enumerate(together):
        expected = _laid_out([outputs[k] for outputs in one_by_one], family)
        if expected.shape != batched.shape:
            return False
        if not np.allclose(expected, batched, rtol=1e-3, atol=1e-3):
            return False
    return True


def _laid_out(singles: list[NDArray[np.float32]], family: Family | None) -> NDArray[np.float32]:
    """A batch's output in the layout that `app` reads: image by image, but for SCRFD.

    SCRFD's graph flattens (height, width, batch, anchor), so there the batch is an inner dimension.
    """
    rows, width = singles[0].shape[0], singles[0].shape[-1]
    if family != "scrfd" or rows % _SCRFD_ANCHORS:
        return np.concatenate(singles)
    groups = [single.reshape(-1, _SCRFD_ANCHORS, width) for single in singles]
    return np.stack(groups, axis=1).reshape(-1, width)


def _features(network: _Network, where: str) -> NDArray[np.float32]:
    if len(network.outputs) != 1:
        raise ImportFailedError(f"{where}: has the outputs {network.outputs}, one is expected")
    features_ND = network.golden_outputs[0].reshape(len(network.golden_inputs), -1)
    if not np.all(contract.norms(features_ND) > 0):
        raise ImportFailedError(f"{where}: gives features that are zero")
    return features_ND


def _output_order(family: Family, network: _Network, where: str) -> list[int]:
    """Positions of the outputs in the order in which `app` reads them: kinds, then strides."""
    if len(network.outputs) != DETECTOR_OUTPUTS[family]:
        raise ImportFailedError(
            f"{where}: has {len(network.outputs)} outputs, a {family} with five landmarks has "
            f"{DETECTOR_OUTPUTS[family]}"
        )
    if family == "yunet":
        wanted = [f"{head}_{stride}" for head in _YUNET_HEADS for stride in (8, 16, 32)]
        if sorted(wanted) != sorted(network.outputs):
            raise ImportFailedError(f"{where}: outputs {network.outputs} are not YuNet's")
        return [network.outputs.index(name) for name in wanted]
    shapes = [output.shape for output in network.golden_outputs]
    if sorted(shape[-1] for shape in shapes) != sorted(_SCRFD_WIDTHS * 3):
        raise ImportFailedError(f"{where}: outputs of shapes {shapes} are not SCRFD's")
    return sorted(range(9), key=lambda n: (shapes[n][-1], -network.golden_outputs[n].size))


def _facts(about: About, network: _Network, preprocessing: Preprocessing) -> dict[str, Any]:
    return {
        "name": about.name,
        "version": about.version,
        "description": about.description,
        "source": about.source,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": about.licence.model_dump(),
        "training": about.training.model_dump(),
        "opset": network.opset,
        "input": {
            "name": network.input,
            "colour_order": preprocessing.colour_order,
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "fixed_batch": 1 if network.fixed_batch else None,
        },
    }
