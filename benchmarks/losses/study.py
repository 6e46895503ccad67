"""The whole matrix: what is not in the cache yet is trained, measured and added to it."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.losses import cache, images, synthetic
from benchmarks.losses.images import StudyImages
from benchmarks.losses.measure import Pairs, Values, draw_pairs, measure
from benchmarks.losses.runs import SEEDS, Run, longer, matrix
from benchmarks.losses.training import build_learner, embed, train
from models.data.decode import Pixels

Job = tuple[str, Callable[[], cache.Record]]


def run_study(assets: Path, results: Path, deadline: float) -> None:
    """`deadline` is in seconds from now; no job starts after it."""
    end = time.monotonic() + deadline
    done = cache.read(results)
    study = images.load(assets)
    for key, work in jobs(study, draw_pairs(study.test.subject)):
        if key in done:
            continue
        if time.monotonic() > end:
            break
        before = time.process_time()
        record = {"key": key, **work()}
        record["cpu_seconds"] = round(time.process_time() - before, 1)
        cache.append(results, record)
        print(key, record["cpu_seconds"], "s", flush=True)


def jobs(study: StudyImages, pairs: Pairs) -> Iterator[Job]:
    """Baselines, then seed by seed the losses, their controls and the synthetic worlds.

    All losses come before any second seed, so that a study cut short still compares all.
    """
    yield "raw pixels/0", partial(measure, raw_pixels, study.test, pairs)
    for seed in SEEDS:
        yield f"untrained/{seed}", partial(untrained, seed, study, pairs)
        for run in matrix(seed):
            yield run.key, partial(trained, run, study, pairs)
        for arm in synthetic.ARMS:
            yield f"synthetic/{arm}/{seed}", partial(synthetic.measure_arm, arm, seed)
    for seed in SEEDS:
        for run in longer(seed):
            yield run.key, partial(trained, run, study, pairs)


def trained(run: Run, study: StudyImages, pairs: Pairs) -> cache.Record:
    learner = train(run, study.varied if run.varied else study.undegraded)
    last = {"training": learner.loss.statistics()}
    return measure(partial(embed, learner.backbone), study.test, pairs) | last


def untrained(seed: int, study: StudyImages, pairs: Pairs) -> cache.Record:
    """The network every run of this seed starts from."""
    run = Run("untrained", "arcface", seed)
    backbone = build_learner(run, study.varied.classes).backbone
    return measure(partial(embed, backbone), study.test, pairs)


def raw_pixels(images_NHWC: Pixels) -> Values:
    """Grey levels, each image around its own mean; the length is the image's contrast."""
    grey_ND = images_NHWC.mean(axis=3, dtype=np.float32).reshape(len(images_NHWC), -1)
    return np.asarray(grey_ND - grey_ND.mean(axis=1, keepdims=True))
