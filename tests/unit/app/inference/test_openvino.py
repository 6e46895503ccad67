"""bfloat16 through OpenVINO: the same answers as ONNX Runtime's but for the last bits."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.errors import InferenceFailedError, StartError
from app.inference import packages
from app.inference.embed import OnnxRecogniser
from app.inference.openvino import Bfloat16Network
from app.inference.session import Session
from export.contract import cosine
from export.manifest import MODEL, RecogniserManifest
from tests.unit.export import graphs

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
    pytest.skip("this processor has no bfloat16 arithmetic", allow_module_level=True)

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 3, 112, 112)).astype(np.float32)


def network(model: bytes, inputs: str = "image", output: str = "feature") -> Bfloat16Network:
    return Bfloat16Network(model, inputs, [output], 2)


def test_outputs_come_in_the_order_asked_for() -> None:
    names = [f"{head}_{stride}" for head in graphs.SCRFD_HEADS for stride in graphs.STRIDES]
    found = Bfloat16Network(graphs.scrfd(), "image", names, 1).run(IMAGES[:, :, :64, :64])
    assert [output.shape[-1] for output in found] == [1, 1, 1, 4, 4, 4, 10, 10, 10]


def test_any_size_of_photo_is_taken() -> None:
    names = [f"{head}_{stride}" for head in graphs.SCRFD_HEADS for stride in graphs.STRIDES]
    small = Bfloat16Network(graphs.scrfd(), "image", names, 1)
    exact = Session(graphs.scrfd(), "image", names, "cpu")
    for side in (64, 96, 64):
        tensor = np.ascontiguousarray(IMAGES[:1, :, :side, :64])
        for a, b in zip(small.run(tensor), exact.run(tensor), strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, atol=0.02 * max(1.0, float(np.abs(b).max())))


def test_an_output_is_not_written_over_by_the_next_run() -> None:
    one = network(graphs.recogniser())
    [first] = one.run(IMAGES[:1])
    kept = first.copy()
    one.run(IMAGES[1:])
    np.testing.assert_array_equal(first, kept)


def test_many_threads_get_what_one_would() -> None:
    one = network(graphs.recogniser())
    alone = [one.run(IMAGES[n : n + 1])[0] for n in (0, 1)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: one.run(IMAGES[n % 2 : n % 2 + 1])[0], range(40)))
    for n, feature in enumerate(found):
        np.testing.assert_array_equal(feature, alone[n % 2])


def test_whether_a_graph_takes_batches_is_known() -> None:
    assert network(graphs.recogniser()).batchable
    assert not network(graphs.recogniser(batch=1)).batchable


def test_wrong_names_are_answered_with_the_right_ones() -> None:
    with pytest.raises(StartError, match=r"no output 'features'; it has \['feature'"):
        network(graphs.recogniser(), output="features")
    with pytest.raises(StartError, match=r"inputs are \['image'\], not 'data' alone"):
        network(graphs.recogniser(), inputs="data")


@pytest.mark.parametrize("model", [b"no network", graphs.recogniser()[:200]])
def test_what_is_no_network_is_refused(model: bytes) -> None:
    with pytest.raises(StartError, match="OpenVINO refuses"):
        network(model)


def test_a_failure_of_the_runtime_is_ours_and_the_next_run_works() -> None:
    one = network(graphs.recogniser())
    with pytest.raises(InferenceFailedError):
        one.run(IMAGES[:, :1])
    assert one.run(IMAGES)[0].shape == (2, 8)


def test_features_of_the_default_recogniser_hardly_move(packages_dir: Path) -> None:
    found = packages.find("sface-2021dec", packages_dir)
    manifest = found.manifest
    assert isinstance(manifest, RecogniserManifest)
    model, entry, output = found.read(MODEL), manifest.input.name, manifest.output
    exact = OnnxRecogniser(Session(model, entry, [output], "cpu"), manifest)
    rough = OnnxRecogniser(Bfloat16Network(model, entry, [output], 1), manifest)
    crops = found.golden()["inputs"]
    for a, b in zip(exact.features(crops), rough.features(crops), strict=True):
        assert 0.9995 < cosine(a, b) < 0.9999999  # the lower bits are really gone
        assert np.linalg.norm(b) == pytest.approx(np.linalg.norm(a), rel=0.01)
