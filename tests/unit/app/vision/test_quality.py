"""The judge: gates at their edges, each reason on its own, and the score's formula."""

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from app.domain import Box, Embedding, Face, Image, Reason
from app.vision.quality import QualityJudge
from export.contract import ARCFACE_112
from export.tables import QualityCurve
from tests.hostile import corpus
from tests.unit.export import samples

CURVE = QualityCurve.model_validate(samples.quality(), strict=False)
IMAGE = Image(np.zeros((200, 300, 3), dtype=np.uint8), "png", 300, 200)
FACE = Face(Box(100, 50, 180, 150), 0.9, ARCFACE_112.array())
GRAIN = np.random.default_rng(0).normal(0, 25, (112, 112, 3))
CROP = np.clip(corpus.photo(112, 112) + GRAIN, 0, 255).astype(np.uint8)


def embedding(norm: float) -> Embedding:
    return Embedding(np.full(4, norm / 2, dtype=np.float32), norm, CURVE.contract_id)


def reasons(
    norm: float = 20,
    box: Box = FACE.box,
    *,
    enrol: bool = False,
    curve: QualityCurve | None = CURVE,
) -> tuple[Reason, ...]:
    judge = QualityJudge(curve, min_face=32)
    stage = "enrol" if enrol else "query"
    return judge(IMAGE, replace(FACE, box=box), CROP, embedding(norm), stage).reasons


def test_a_good_face_has_no_reasons() -> None:
    assert reasons() == ()


def test_each_stage_has_its_gate_and_the_gate_itself_passes() -> None:
    gates = CURVE.gates
    assert gates.enrol > gates.query
    for norm, at_enrol, at_query in (
        (gates.enrol, (), ()),
        (np.nextafter(gates.enrol, 0), (Reason.LOW_QUALITY,), ()),
        (gates.query, (Reason.LOW_QUALITY,), ()),
        (np.nextafter(gates.query, 0), (Reason.LOW_QUALITY,), (Reason.LOW_QUALITY,)),
    ):
        assert reasons(norm, enrol=True) == at_enrol
        assert reasons(norm) == at_query


@pytest.mark.parametrize("curve", [None, CURVE.model_copy(update={"basis": "none"})])
def test_a_norm_that_says_nothing_refuses_nobody(curve: QualityCurve | None) -> None:
    assert reasons(1e-3, enrol=True, curve=curve) == ()
    quality = QualityJudge(curve, 32)(IMAGE, FACE, CROP, embedding(3.0), "query")
    assert (quality.norm, quality.score, quality.basis) == (3.0, None, "none")


@pytest.mark.parametrize(
    ("box", "small"),
    [
        (Box(100, 50, 132, 82), False),
        (Box(100, 50, 131.9, 90), True),
        (Box(100, 50, 140, 81.9), True),
    ],
)
def test_the_shorter_side_decides_on_size(box: Box, small: bool) -> None:
    assert reasons(box=box) == ((Reason.FACE_TOO_SMALL,) if small else ())


@pytest.mark.parametrize(
    ("shift", "clipped"),
    [
        ((0, 0), False),
        ((-30, 0), False),
        ((-38, 0), True),
        ((0, -60), True),
        ((205, 0), False),
        ((230, 0), True),
        ((0, 95), False),
        ((0, 125), True),
    ],
)
def test_a_face_beyond_the_border_is_clipped(shift: tuple[int, int], clipped: bool) -> None:
    """Its box says nothing: detectors draw it around what they see."""
    moved = replace(FACE, landmarks=FACE.landmarks + np.float32(shift))
    found = QualityJudge(CURVE, min_face=32)(IMAGE, moved, CROP, embedding(20), "query").reasons
    assert found == ((Reason.FACE_CLIPPED,) if clipped else ())


def test_every_reason_that_applies_is_named() -> None:
    small = Face(Box(0, 0, 20, 20), 0.9, FACE.landmarks / 5 - np.float32([12, 0]))
    found = QualityJudge(CURVE, min_face=32)(IMAGE, small, CROP, embedding(1), "query").reasons
    assert found == (Reason.FACE_TOO_SMALL, Reason.FACE_CLIPPED, Reason.LOW_QUALITY)


@pytest.mark.parametrize("norm", [0.0, 2.0, 7.5, 8.0, 12.0, 60.0])
def test_the_score_is_ofiqs_sigmoid_of_the_norm(norm: float) -> None:
    """Centre 8, width 2."""
    score = QualityJudge(CURVE, 32).score(norm)
    assert score == pytest.approx(100 / (1 + exp((8 - norm) / 2)))


def test_the_score_rises_with_the_norm_and_never_overflows() -> None:
    judge = QualityJudge(CURVE.model_copy(update={"centre": 1e6}), 32)
    scores = [judge.score(norm) for norm in (0.0, 1e6, 2e6)]
    assert scores == [pytest.approx(0), 50, pytest.approx(100)]
