import numpy as np

from models.data.folder import ImageFolder
from models.data.source import at_least, concatenate, fingerprint, hold_out, keep_classes


def test_keeping_classes_renumbers_labels(source: ImageFolder) -> None:
    kept = keep_classes(source, np.array([True, False, True]))
    assert kept.classes == ("ann", "cyd")
    np.testing.assert_array_equal(kept.labels, [0, 0, 0, 1])
    assert kept.read(3) == source.read(5)


def test_identities_with_few_images_are_left_out(source: ImageFolder) -> None:
    assert at_least(source, 2).classes == ("ann", "bob")
    assert at_least(source, 1) is source


def test_concatenation_keeps_identities_of_one_name_apart(source: ImageFolder) -> None:
    both = concatenate(source, source)
    assert len(both.classes) == 6
    np.testing.assert_array_equal(both.labels, [0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 4, 5])
    assert both.read(6) == source.read(0)
    assert both.read(5) == source.read(5)
    assert both.read(11) == source.read(5)


def test_held_out_identities_share_none_with_training(source: ImageFolder) -> None:
    training, held_out = hold_out(source, 0.5)
    assert set(training.classes) | set(held_out.classes) == set(source.classes)
    assert not set(training.classes) & set(held_out.classes)
    assert len(training.labels) + len(held_out.labels) == 6


def test_an_identity_keeps_its_side_when_others_come(source: ImageFolder) -> None:
    _, small = hold_out(source, 0.5)
    _, large = hold_out(concatenate(source, source), 0.5)
    alone = keep_classes(source, np.array([True, False, False]))
    _, single = hold_out(alone, 0.5)
    assert ("ann" in single.classes) == ("ann" in small.classes)
    assert len(hold_out(source, 0.0)[1].labels) == 0
    assert len(hold_out(source, 1.0)[0].labels) == 0
    assert len(large.classes) <= 6


def test_the_fingerprint_sees_every_label_and_name(source: ImageFolder) -> None:
    same = ImageFolder(source.paths, source.labels.copy(), source.classes)
    moved = ImageFolder(source.paths, np.array([0, 0, 1, 1, 1, 2]), source.classes)
    renamed = ImageFolder(source.paths, source.labels, ("ann", "bob", "dan"))
    assert fingerprint(same) == fingerprint(source)
    assert len({fingerprint(source), fingerprint(moved), fingerprint(renamed)}) == 3
