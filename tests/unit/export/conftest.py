"""One small calibration that several tests look at."""

import numpy as np
import pytest

from export.calibrate.labels import Attempts, LabelledFeatures, Measures
from export.calibrate.photos import Extraction
from export.calibrate.run import Outcome, run
from export.calibrate.table import Plan
from export.quality.record import QualityPlan


@pytest.fixture(scope="session")
def outcome() -> Outcome:
    """300 people in two groups; the norm tells the noise of each photo."""
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(300, dtype=np.int32), 2)
    noise = random.uniform(0.3, 1.6, len(codes)).astype(np.float32)
    raw = random.standard_normal((300, 24))[codes]
    raw = raw + noise[:, None] * random.standard_normal(raw.shape)
    raw *= (30 - 10 * noise[:, None]) / np.linalg.norm(raw, axis=1, keepdims=True)
    features = LabelledFeatures(
        "c1-test", raw.astype(np.float32), codes, tuple(map(str, range(600))), Attempts(605, 2, 3),
        Measures(noise, noise, noise), np.array(["<left>", "right"])[codes % 2],
    )  # fmt: skip
    return run(Extraction(features, None), Plan("people & photos", "det"), QualityPlan("people"))
