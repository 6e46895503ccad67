"""Sessions: what does not fit is refused at the start, by name and with the way out."""

import numpy as np
import onnxruntime
import pytest

from app.errors import InferenceFailedError, StartError
from app.inference.session import Session
from tests.unit.export import graphs

IMAGES = np.zeros((2, 3, 112, 112), dtype=np.float32)


def test_cuda_without_cuda_names_the_way_out() -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this runtime offers CUDA")
    with pytest.raises(StartError, match="NORMA_DEVICE=cpu") as refused:
        Session(graphs.recogniser(), "image", ["feature"], "cuda")
    assert "gpu environment" in refused.value.message


def test_a_wrong_output_is_answered_with_the_right_ones() -> None:
    with pytest.raises(StartError, match=r"no output 'features'; it has \['feature'\]"):
        Session(graphs.recogniser(), "image", ["features"], "cpu")


def test_a_wrong_input_is_answered_with_the_right_one() -> None:
    with pytest.raises(StartError, match=r"inputs are \['image'\], not 'data' alone"):
        Session(graphs.recogniser(), "data", ["feature"], "cpu")


@pytest.mark.parametrize("model", [b"", b"no network", graphs.recogniser()[:200]])
def test_what_is_no_network_is_refused(model: bytes) -> None:
    with pytest.raises(StartError, match="ONNX Runtime refuses"):
        Session(model, "image", ["feature"], "cpu")


def test_outputs_come_in_the_order_asked_for() -> None:
    names = [f"{head}_{stride}" for head in graphs.SCRFD_HEADS for stride in graphs.STRIDES]
    session = Session(graphs.scrfd(), "image", names, "cpu")
    widths = [output.shape[-1] for output in session.run(IMAGES[:, :, :64, :64])]
    assert widths == [1, 1, 1, 4, 4, 4, 10, 10, 10]
    reverse = Session(graphs.scrfd(), "image", names[::-1], "cpu")
    assert [out.shape[-1] for out in reverse.run(IMAGES[:, :, :64, :64])] == widths[::-1]


def test_whether_a_graph_takes_batches_is_known() -> None:
    assert Session(graphs.recogniser(), "image", ["feature"], "cpu").batchable
    assert not Session(graphs.recogniser(batch=1), "image", ["feature"], "cpu").batchable


def test_a_failure_of_the_runtime_is_ours_and_the_next_run_works() -> None:
    session = Session(graphs.recogniser(), "image", ["feature"], "cpu")
    for broken in (IMAGES[:, :1], IMAGES[0], IMAGES.astype(np.float64)):
        with pytest.raises(InferenceFailedError):
            session.run(broken)
    assert session.run(IMAGES)[0].shape == (2, 8)
