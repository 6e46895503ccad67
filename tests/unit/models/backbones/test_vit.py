"""What only the transformer has: paths that are dropped."""

import torch

from models.backbones.vit import DropPath


def test_dropped_paths_keep_the_mean_and_leave_whole_samples_out() -> None:
    torch.manual_seed(0)
    dropped_BNE = DropPath(0.25).train()(torch.ones(4000, 2, 3))
    per_sample_B = dropped_BNE.flatten(1)
    assert torch.equal(per_sample_B.min(1).values, per_sample_B.max(1).values)
    assert abs(dropped_BNE.mean() - 1) < 0.05
    assert dropped_BNE.unique().tolist() == [0.0, torch.tensor(4 / 3).item()]


def test_no_path_is_dropped_outside_training() -> None:
    x_BNE = torch.ones(8, 2, 3)
    assert torch.equal(DropPath(0.9).eval()(x_BNE), x_BNE)
