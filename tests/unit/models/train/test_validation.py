import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.backbones import Backbone
from models.data.decode import decode_all
from models.data.source import FaceSource, hold_out
from models.train import DataConfig, TrainingConfig, train
from models.train.embed import embed
from models.train.journal import read_log
from models.train.validation import validation

MakeConfig = Callable[..., TrainingConfig]


class Corner(Backbone):
    """The mean of the crop's left half: mirrored crops have other features."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), dim=3)

    def trunk(self, images_B3HW: Tensor) -> Tensor:
        return images_B3HW[..., :56].mean((2, 3))


@pytest.fixture
def backbone() -> Corner:
    torch.manual_seed(0)
    return Corner()


def test_features_do_not_depend_on_the_batch(backbone: Corner, faces: FaceSource) -> None:
    pixels = decode_all(faces)
    features = embed(backbone, pixels, batch=128)
    assert features.shape == (12, 3)
    np.testing.assert_allclose(embed(backbone, pixels, batch=5), features, rtol=1e-5)


def test_flipping_adds_the_mirrored_feature(backbone: Corner, faces: FaceSource) -> None:
    pixels = decode_all(faces)
    mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
    expected = embed(backbone, pixels) + embed(backbone, mirrored)
    np.testing.assert_allclose(embed(backbone, pixels, flip=True), expected, rtol=1e-5)


def test_a_set_of_equal_and_other_images_is_told_apart(
    backbone: Corner, faces: FaceSource, tmp_path: Path
) -> None:
    images = [faces.read(i) for i in (0, 0, 1, 2, 3, 3, 4, 5)]
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps((images, [True, False, True, False])))
    nobody = hold_out(faces, 0.0)[1]
    evaluate = validation(DataConfig(verification=(str(path),)), nobody)
    assert evaluate is not None
    figures = evaluate(backbone, 0)
    assert figures.keys() == {"lfw/accuracy", "lfw/auc", "lfw/eer"}
    assert figures["lfw/auc"] == 1.0


def test_nothing_asked_nothing_measured(faces: FaceSource) -> None:
    assert validation(DataConfig(), hold_out(faces, 0.0)[1]) is None


def test_held_out_identities_are_measured_and_not_trained_on(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path
) -> None:
    for index, label in enumerate(faces.labels):
        folder = tmp_path / "faces" / f"person{label}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.jpg").write_bytes(faces.read(index))
    config = make_config()
    data = replace(config.data, paths=(str(tmp_path / "faces"),), hold_out=0.5)
    train(replace(config, data=data, batch_size=2))
    entry = next(e for e in read_log(Path(config.run)) if "held_out/auc" in e)
    assert entry["step"] == 4
    assert 0.0 <= entry["held_out/eer"] <= 1.0
