import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.augment import Augmentation, augment, image_rng

Image = NDArray[np.uint8]
NOTHING = Augmentation(flip=False)


def versions(image: Image, augmentation: Augmentation, count: int = 200) -> list[Image]:
    return [augment(image, augmentation, image_rng(1, 2, index)) for index in range(count)]


def changed(image: Image, augmentation: Augmentation) -> float:
    return float(np.mean([not np.array_equal(v, image) for v in versions(image, augmentation)]))


def test_nothing_asked_nothing_done(image: Image) -> None:
    assert changed(image, NOTHING) == 0.0


def test_half_of_the_images_are_mirrored(image: Image) -> None:
    flipped = versions(image, Augmentation())
    assert {v.tobytes() for v in flipped} == {image.tobytes(), image[:, ::-1].tobytes()}
    assert changed(image, Augmentation()) == pytest.approx(0.5, abs=0.1)


def test_the_asked_share_of_images_is_lowered(image: Image) -> None:
    share = changed(image, Augmentation(flip=False, probability=0.3, severity=1.0))
    assert share == pytest.approx(0.3, abs=0.1)


def test_severity_bounds_the_damage(image: Image) -> None:
    def damage(severity: float) -> float:
        lowered = Augmentation(flip=False, probability=1.0, severity=severity)
        return float(
            np.mean([np.abs(v - image.astype(float)).mean() for v in versions(image, lowered)])
        )

    assert damage(0.0) == 0.0
    assert 0.0 < damage(0.2) < 0.5 * damage(1.0)


def test_only_the_named_kinds_happen(image: Image) -> None:
    dark = Augmentation(flip=False, probability=1.0, kinds=("low_light",))
    assert np.mean([v.mean() < image.mean() - 1 for v in versions(image, dark)]) > 0.9


def test_jitter_moves_but_keeps_the_size(image: Image) -> None:
    moved = versions(image, Augmentation(flip=False, jitter=0.05), 10)
    assert all(v.shape == image.shape and not np.array_equal(v, image) for v in moved)


def test_an_image_depends_on_seed_epoch_and_index_alone(image: Image) -> None:
    all_of_it = Augmentation(jitter=0.05, probability=1.0)

    def version(*key: int) -> bytes:
        return augment(image, all_of_it, image_rng(*key)).tobytes()

    assert version(1, 2, 3) == version(1, 2, 3)
    assert len({version(1, 2, 3), version(0, 2, 3), version(1, 0, 3), version(1, 2, 0)}) == 4


@pytest.mark.parametrize("wrong", [{"kinds": ("rain",)}, {"probability": 1.5}, {"severity": -0.1}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown degradations|lie in \[0, 1\]"):
        Augmentation(**wrong)  # type: ignore[arg-type]
