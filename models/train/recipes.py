"""Named recipes: functions that return a complete config. Derive one by calling and replacing."""

from collections.abc import Callable
from dataclasses import dataclass

from models.data.augment import Augmentation
from models.train.config import (
    BackboneConfig,
    DataConfig,
    LossConfig,
    OptimiserConfig,
    ScheduleConfig,
    SystemConfig,
    TrainingConfig,
)

Recipe = Callable[[], TrainingConfig]

_RECIPES: dict[str, Recipe] = {}

MS1MV2 = DataConfig(
    paths=("faces_emore",),
    name="MS1MV2 (faces_emore: 5.8 M images of 85,742 identities)",
    licence="non-commercial research",
    cache_mb=0,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """A recipe's name and the first line of what it is."""

    name: str
    text: str


def register(recipe: Recipe) -> Recipe:
    """Register a recipe under its function's name."""
    _RECIPES[recipe.__name__] = recipe
    return recipe


def names() -> list[str]:
    """Every recipe, in order of registration."""
    return list(_RECIPES)


def build(name: str) -> TrainingConfig:
    """The config of a recipe; ValueError, naming those there are, when there is none."""
    if name not in _RECIPES:
        raise ValueError(f"unknown recipe {name!r}; choose from {', '.join(_RECIPES)}")
    return _RECIPES[name]()


def summaries() -> list[Summary]:
    """What `norma train --list` shows."""
    return [
        Summary(name, (recipe.__doc__ or "").splitlines()[0]) for name, recipe in _RECIPES.items()
    ]


@register
def tiny() -> TrainingConfig:
    """Your own few photos, in seconds to minutes on a CPU: to see the whole path work."""
    return TrainingConfig(
        recipe="tiny",
        run="runs/tiny",
        backbone=BackboneConfig(name="mobilefacenet", dim=128, parameters={"width": 0.25}),
        loss=LossConfig(name="cosface", parameters={"scale": 32.0, "margin": 0.2}),
        data=DataConfig(augmentation=Augmentation(jitter=0.03, probability=0.3)),
        optimiser=OptimiserConfig(kind="adamw", lr=2e-3, weight_decay=0.05, decay_vectors=False),
        schedule=ScheduleConfig(epochs=10, warmup=0.5, shape="cosine"),
        system=SystemConfig(workers=0, log_every=5, checkpoint_every=200),
        batch_size=32,
    )


@register
def mobilefacenet_magface() -> TrainingConfig:
    """MobileFaceNet with MagFace, whose norm is a quality: the small model to train first.

    The schedule is arcface_torch's for its MobileFaceNet (batch 512, 20 epochs, lr 0.1,
    polynomial); the degraded images are what lets the norm order quality (losses are trained on
    clean crops at the price of a norm that orders it backwards).
    """
    return TrainingConfig(
        recipe="mobilefacenet_magface",
        run="runs/mobilefacenet_magface",
        backbone=BackboneConfig(name="mobilefacenet", dim=512),
        loss=LossConfig(name="magface"),
        data=_with_quality(MS1MV2),
        optimiser=OptimiserConfig(lr=0.1, weight_decay=1e-4),
        schedule=ScheduleConfig(epochs=20, warmup=1.0, shape="polynomial", power=1.0),
        precision="bf16",
        ema_decay=0.9999,
    )


@register
def norma_small() -> TrainingConfig:
    """Half-width MobileFaceNet with MagFace, for some ten thousand photos and two CPU cores."""
    return TrainingConfig(
        recipe="norma_small",
        run="runs/norma_small",
        backbone=BackboneConfig(name="mobilefacenet", dim=256, parameters={"width": 0.5}),
        # Scale 32 suits hundreds to thousands of identities; λ_g stays above its bound there.
        loss=LossConfig(name="magface", parameters={"scale": 32.0, "lambda_g": 20.0}),
        data=DataConfig(min_images=2, augmentation=Augmentation(jitter=0.03, probability=0.4)),
        optimiser=OptimiserConfig(kind="adamw", lr=2e-3, weight_decay=0.05, decay_vectors=False),
        schedule=ScheduleConfig(epochs=12, warmup=0.5, shape="cosine"),
        system=SystemConfig(workers=0, threads=1, log_every=20, checkpoint_every=200),
        batch_size=64,
        ema_decay=0.995,
    )


@register
def iresnet50_arcface() -> TrainingConfig:
    """IResNet-50 with ArcFace on MS1MV2: arcface_torch's schedule (20 epochs, polynomial)."""
    return TrainingConfig(
        recipe="iresnet50_arcface",
        run="runs/iresnet50_arcface",
        backbone=BackboneConfig(name="iresnet50", dim=512),
        loss=LossConfig(name="arcface", parameters={"scale": 64.0, "margin": 0.5}),
        data=MS1MV2,
        optimiser=OptimiserConfig(lr=0.1),
        schedule=ScheduleConfig(epochs=20, shape="polynomial", power=1.0),
        batch_size=1024,
        precision="fp16",
    )


@register
def iresnet100_magface() -> TrainingConfig:
    """IResNet-100 with MagFace on MS1MV2: the paper's schedule (25 epochs, ×0.1 at 10, 18, 22)."""
    return TrainingConfig(
        recipe="iresnet100_magface",
        run="runs/iresnet100_magface",
        backbone=BackboneConfig(name="iresnet100", dim=512),
        loss=LossConfig(
            name="magface",
            parameters={
                "scale": 64.0,
                "l_a": 10.0,
                "u_a": 110.0,
                "l_m": 0.45,
                "u_m": 0.8,
                "lambda_g": 35.0,
            },
        ),
        data=MS1MV2,
        optimiser=OptimiserConfig(lr=0.1, clip_norm=0.0),
        schedule=ScheduleConfig(epochs=25, shape="steps", milestones=(10, 18, 22), factor=0.1),
        precision="fp16",
    )


def _with_quality(data: DataConfig) -> DataConfig:
    return DataConfig(
        paths=data.paths,
        name=data.name,
        licence=data.licence,
        cache_mb=data.cache_mb,
        augmentation=Augmentation(jitter=0.02, probability=0.3),
    )
