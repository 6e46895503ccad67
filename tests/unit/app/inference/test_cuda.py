"""Runs on fixed buffers, on the CPU's: what they give, and that nothing of one run stays."""

import numpy as np
import onnxruntime as ort
import pytest

from app.inference.cuda import BoundRuns
from tests.unit.export import graphs


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    return ort.InferenceSession(graphs.recogniser(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("graphs_on", [False, True])
def test_bound_runs_give_what_plain_runs_give(
    session: ort.InferenceSession, graphs_on: bool
) -> None:
    bound = BoundRuns(session, ("image", ["feature"]), ("cpu", 0), graphs_on)
    generator = np.random.default_rng(7)
    seen = []
    for count in (1, 2, 1, 2, 2):
        images = generator.random((count, 3, 112, 112), dtype=np.float32)
        [found] = bound(images)
        seen.append((found, session.run(["feature"], {"image": images})[0]))
    for found, expected in seen:
        np.testing.assert_allclose(found, expected, rtol=1e-5)
