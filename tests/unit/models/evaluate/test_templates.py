"""IJB-style templates by hand."""

import numpy as np

from models.evaluate import aggregate


def test_media_weigh_alike_however_many_frames_they_have() -> None:
    features_ND = np.array([[2.0, 0], [4.0, 0], [6.0, 0], [0, 8.0]])
    feature_TD, template_T = aggregate(features_ND, np.full(4, 5), np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(feature_TD, [[2.0, 4.0]])
    assert template_T.tolist() == [5]


def test_a_norm_weighs_its_sample_unless_all_are_equal() -> None:
    features_ND = np.array([[30.0, 0], [0, 10.0]])
    template_N, media_N = np.zeros(2, int), np.arange(2)
    weighed_TD, _ = aggregate(features_ND, template_N, media_N)
    equal_TD, _ = aggregate(features_ND, template_N, media_N, weighting="equal")
    np.testing.assert_allclose(weighed_TD[0, 0] / weighed_TD[0, 1], 3)
    np.testing.assert_allclose(equal_TD[0, 0] / equal_TD[0, 1], 1)


def test_templates_come_in_the_order_of_their_numbers() -> None:
    features_ND = np.eye(3)
    feature_TD, template_T = aggregate(features_ND, np.array([9, 2, 9]), np.array([1, 1, 2]))
    assert template_T.tolist() == [2, 9]
    np.testing.assert_allclose(feature_TD, [[0, 1, 0], [0.5, 0, 0.5]])


def test_weighting_by_quality_helps_where_quality_varies() -> None:
    """Samples whose noise falls with their norm: the weighted template is nearer to the truth."""
    random = np.random.default_rng(3)
    quality_N = random.uniform(0.1, 1, 400)
    sample_ND = quality_N[:, None] * np.eye(32)[0] + random.normal(0, 0.2, (400, 32))
    raw_ND = 20 * quality_N[:, None] * sample_ND / np.linalg.norm(sample_ND, axis=1)[:, None]
    template_N, media_N = np.repeat(np.arange(40), 10), np.tile(np.arange(10), 40)
    cosines = [
        (feature_TD[:, 0] / np.linalg.norm(feature_TD, axis=1)).mean()
        for feature_TD in (
            aggregate(raw_ND, template_N, media_N)[0],
            aggregate(raw_ND, template_N, media_N, weighting="equal")[0],
        )
    ]
    assert cosines[0] > cosines[1] + 0.01
