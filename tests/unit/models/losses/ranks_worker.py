"""One rank of the Partial FC proof: reads the case, runs it over gloo, writes what it saw.

RANK=0 WORLD_SIZE=2 python ranks_worker.py INIT_FILE CASES.npz OUTPUT.npz
"""

import os
import sys

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models.losses import PartialFC, build, entry, names
from models.losses.collective import gather_rows
from models.losses.shards import class_range, gather_classes, take_classes

DIM, CLASSES = 6, 7  # 7 classes on 2 ranks: unequal shards


def state_of(case: dict[str, np.ndarray], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/state/"
    return {
        key.removeprefix(prefix): torch.from_numpy(value)
        for key, value in case.items()
        if key.startswith(prefix)
    }


def whole_rate(case: dict[str, np.ndarray], rank: int) -> dict[str, Tensor]:
    """Rate 1 behind a DDP backbone: loss, gradients and state of every softmax-family loss."""
    half = slice(rank * 6, rank * 6 + 6)
    inputs = torch.from_numpy(case["inputs"])[half]
    labels = torch.from_numpy(case["labels"])[half]
    seen: dict[str, Tensor] = {}
    for name in names():
        if not entry(name).kind.samples_classes:
            continue
        head = PartialFC(name, dim=DIM, num_classes=CLASSES).double()
        head.load_full_state(state_of(case, name))
        backbone = nn.Linear(4, DIM, bias=False).double()
        with torch.no_grad():
            backbone.weight.copy_(torch.from_numpy(case["backbone"]))
        averaged = DistributedDataParallel(backbone)
        torch.manual_seed(1)  # ElasticFace: every rank draws the margins of the whole batch
        output = head(averaged(inputs), labels)
        output.loss.backward()
        weight_gradient = gather_classes(head.weight.grad, CLASSES)
        seen |= {
            f"{name}/loss": output.loss.detach(),
            f"{name}/per_sample": output.per_sample.detach(),
            f"{name}/backbone": backbone.weight.grad,
            f"{name}/weight": weight_gradient,
        }
        seen |= {f"{name}/after/{key}": value for key, value in head.full_state().items()}
    return seen


def sampled(case: dict[str, np.ndarray], rank: int) -> dict[str, Tensor]:
    """A sampling step: which rows of this rank's range received a gradient."""
    half = slice(rank * 6, rank * 6 + 6)
    torch.manual_seed(5)
    head = PartialFC("arcface", dim=DIM, num_classes=60, rate=0.3)
    fresh = gather_classes(head.weight, 60)
    features = torch.from_numpy(case["features"])[half].float().requires_grad_()
    output = head(features, torch.from_numpy(case["labels"])[half] * 8)
    output.loss.backward()
    return {
        "sampled/fresh": fresh,
        "sampled/loss": output.loss.detach(),
        "sampled/columns": torch.tensor(output.logits.shape[1]),
        "sampled/gradient": gather_classes(head.weight.grad, 60),
    }


def pooled(case: dict[str, np.ndarray], rank: int) -> dict[str, Tensor]:
    """Without Partial FC: running statistics still span the ranks."""
    half = slice(rank * 6, rank * 6 + 6)
    seen = {}
    for name, buffer in (("adaface", "batch_std"), ("curricularface", "t")):
        head = build(name, dim=DIM, num_classes=CLASSES).double()
        head.load_state_dict(state_of(case, name))
        head(torch.from_numpy(case["features"])[half], torch.from_numpy(case["labels"])[half])
        seen[f"pooled/{name}"] = head.get_buffer(buffer)
    return seen


def moved(rank: int, ranks: int) -> dict[str, Tensor]:
    rows = torch.arange(CLASSES * 2.0).reshape(CLASSES, 2)
    own = take_classes(rows, class_range(CLASSES, rank, ranks))
    return {"moved/rows": gather_classes(own, CLASSES), "moved/ranks": gather_rows(own[:3])}


def main(init: str, case_path: str, output: str) -> None:
    torch.set_num_threads(1)
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{init}", rank=rank, world_size=ranks)
    with np.load(case_path) as arrays:
        case = dict(arrays)
    seen = {
        **whole_rate(case, rank), **sampled(case, rank), **pooled(case, rank),
        **moved(rank, ranks),
    }  # fmt: skip
    np.savez(output, **{key: value.numpy() for key, value in seen.items()})
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
    # Done and written: PyTorch's gloo threads can still abort the interpreter's own end
    # (PyTorch pull request 179291), which is not what is tested here.
    os._exit(0)
