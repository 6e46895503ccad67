"""The study of the losses: its pieces, on made-up images and in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.losses import cache, images, measure, report, runs, study, synthetic, training
from benchmarks.losses.equilibrium import best_lengths
from benchmarks.losses.summary import difference
from models import losses
from models.evaluate import Comparisons

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def faces() -> images.TrainingImages:
    shape = (96, images.VIEWS, images.SIDE, images.SIDE, 3)
    views = RNG.integers(0, 256, shape, dtype=np.uint8)
    return images.TrainingImages(views, np.repeat(np.arange(24), 4), 24)


@pytest.fixture(scope="module")
def unseen() -> images.TestImages:
    """48 images of 24 subjects: enough impostors for an FMR of 1 %."""
    crops = RNG.integers(0, 256, (48, 112, 112, 3), dtype=np.uint8)
    return images.held_out_images(crops, np.repeat(np.arange(24), 2))


@pytest.fixture(scope="module")
def pairs(unseen: images.TestImages) -> measure.Pairs:
    return measure.draw_pairs(unseen.subject, impostors=1050)


def test_every_registered_loss_is_studied_once_a_seed() -> None:
    keys = [run.key for seed in runs.SEEDS for run in runs.matrix(seed)]
    assert len(keys) == len(set(keys))
    assert {f"{name}/2" for name in losses.names()} <= set(keys)


def test_longer_runs_differ_in_length_alone() -> None:
    short = {run.name: run for run in runs.matrix(0)}
    for run in runs.longer(0):
        name = run.name.rsplit(",", 1)[0]
        assert replace(run, name=name, steps=runs.STEPS) == short[name]


@pytest.mark.parametrize("run", runs.matrix(0), ids=lambda run: run.name)
def test_every_run_of_the_matrix_trains(run: runs.Run, faces: images.TrainingImages) -> None:
    learner = training.train(replace(run, steps=1), faces)
    assert np.isfinite(learner.loss.statistics()["norm_mean"])


def test_losses_see_the_same_images(faces: images.TrainingImages) -> None:
    arcface, softmax = (runs.Run(name, name, 1, steps=2) for name in ("arcface", "softmax"))
    for one, other in zip(
        training.batches(arcface, faces), training.batches(softmax, faces), strict=True
    ):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_pair_loss_gets_groups_of_an_identity(faces: images.TrainingImages) -> None:
    batch = next(training.batches(runs.Run("circle_pair", "circle_pair", 0), faces))
    assert set(np.unique(batch.labels, return_counts=True)[1].tolist()) == {training.PER_IDENTITY}


def test_batches_leave_the_images_as_they_are(faces: images.TrainingImages) -> None:
    before = faces.views.copy()
    list(training.batches(runs.Run("arcface", "arcface", 0, steps=2), faces))
    assert np.array_equal(faces.views, before)


def test_ladder_starts_untouched_and_rises() -> None:
    crops = RNG.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    steps = images.ladder(crops)["low_light"]
    assert np.array_equal(steps[0], np.stack([images.shrink(crop) for crop in crops]))
    assert (np.diff(steps.mean(axis=(1, 2, 3, 4))) < 0).all()


@pytest.mark.parametrize(("order", "expected"), [(1, 1.0), (-1, -1.0)])
def test_within_image_spearman_ignores_differences_between_images(
    order: int, expected: float
) -> None:
    within_L1 = order * np.arange(5.0)[:, None] ** 3
    assert measure.within_image(within_L1 + RNG.normal(0, 1e4, 7)) == pytest.approx(expected)


def test_constant_norm_has_no_spearman() -> None:
    assert measure.within_image(np.ones((5, 3))) == 0.0


def test_auc_replicates_surround_the_auc() -> None:
    subject = np.repeat(np.arange(30), 4)
    drawn = measure.draw_pairs(subject, impostors=2000)
    score = drawn.mated + RNG.normal(0, 1, len(drawn.mated))
    comparisons = Comparisons(score, drawn.mated, subject[drawn.rows])
    value = measure.auc(comparisons.genuine, comparisons.impostor)
    low, middle, high = np.quantile(measure.auc_replicates(comparisons), [0.025, 0.5, 0.975])
    assert low < value < high
    assert middle == pytest.approx(value, abs=0.02)


def test_all_genuine_pairs_are_compared() -> None:
    drawn = measure.draw_pairs(np.repeat(np.arange(5), 4), impostors=50)
    assert drawn.mated.sum() == 5 * 6
    assert (~drawn.mated).sum() == 50


def test_discard_sees_a_quality_that_knows(unseen: images.TestImages, pairs: measure.Pairs) -> None:
    """Where the images of low quality are the ones that fail, the area is far under chance."""
    quality = np.repeat(RNG.random(24), 2)
    similarity = np.where(
        pairs.mated, quality[pairs.rows].min(axis=1), -RNG.random(len(pairs.mated))
    )
    similarity[pairs.mated] -= 0.5
    comparisons = Comparisons(similarity, pairs.mated, unseen.subject[pairs.rows])
    result = measure.discard(comparisons, quality, pairs, 0.01)
    assert isinstance(result["area"], float)
    assert isinstance(result["shuffled"], list)
    assert result["area"] < result["shuffled"][0]


def test_best_length_falls_with_the_angle_and_easy_margin_turns_it() -> None:
    hard = losses.build("magface", dim=8, num_classes=157, scale=32.0)
    easy = losses.build("magface_repo", dim=8, num_classes=157, scale=32.0)
    assert isinstance(hard, losses.magface.MagFace)
    assert isinstance(easy, losses.magface.MagFace)
    near, middle, far = best_lengths(hard, (20, 45, 60))
    assert near > middle > far
    assert best_lengths(easy, (100,)) == [pytest.approx(110.0)]
    assert best_lengths(hard, (100,))[0] < 30.0


def test_synthetic_quality_is_what_tells_the_class() -> None:
    generator = torch.Generator().manual_seed(0)
    world = synthetic.new_world(generator)
    samples, labels, quality = world.draw(4000, generator)
    told = (samples * world.means[labels]).sum(1)
    assert np.corrcoef(told, quality)[0, 1] > 0.8


def test_synthetic_arm_measures() -> None:
    result = synthetic.measure_arm("magface, λ_g = 35", 0, steps=20)
    assert -1.0 <= float(str(result["spearman"])) <= 1.0


def test_difference_from_itself_is_nothing() -> None:
    record = {"clean": {"auc": 0.8, "auc_replicates": [0.7, 0.9]}}
    gap = difference([record, record], [record, record], "clean")
    assert (gap["mean"], gap["low"], gap["high"]) == (0.0, 0.0, 0.0)


def test_report_is_written_from_the_cache_and_keeps_the_words(
    tmp_path: Path, faces: images.TrainingImages, unseen: images.TestImages, pairs: measure.Pairs
) -> None:
    lines = tmp_path / "runs.jsonl"
    for key, result in _few_results(images.StudyImages(faces, faces, unseen), pairs).items():
        cache.append(lines, {"key": key, "cpu_seconds": 1.0, **result})
    (tmp_path / "losses.md").write_text("Words.\n" + report.MARK + "old tables")
    report.write_report(lines, tmp_path)
    page = (tmp_path / "losses.md").read_text()
    assert page.startswith("Words.\n")
    assert "old tables" not in page
    assert "| magface |" in page
    assert json.loads((tmp_path / "losses.json").read_text())["networks"]["arcface"]["seeds"] == 1
    assert len(list(tmp_path.glob("*.png"))) == 4


def _few_results(kept: images.StudyImages, pairs: measure.Pairs) -> dict[str, cache.Record]:
    """One network's figures under every name that the pictures want."""
    run = replace(runs.matrix(0)[0], steps=1)
    result = study.trained(run, kept, pairs)
    arm = synthetic.measure_arm("arcface", 0, steps=1)
    named = {f"{name}/0": result for name in (*losses.names(), *report.plots.COMPARED)}
    return {**named, "synthetic/arcface/0": arm}
