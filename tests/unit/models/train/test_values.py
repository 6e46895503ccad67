import json
import re

import pytest

from models.train import ConfigError, TrainingConfig, override, recipe, recipes
from models.train.values import from_json, keys, to_json


def test_settings_take_the_type_of_their_field() -> None:
    config = override(
        recipe("tiny"),
        [
            "optimiser.lr=0.5",
            "optimiser.clip_norm=2",
            "batch_size=16",
            "system.compile=true",
            "schedule.shape=steps",
            "schedule.milestones=3,5",
            "data.paths=a.tar,b c",
            "data.name=a=b",
            "data.augmentation.probability=0.25",
            "loss.parameters.margin=0.4",
            "loss.parameters.beyond_pi=easy",
            "backbone.parameters.width=1",
        ],
    )
    assert config.optimiser.lr == 0.5
    assert isinstance(config.optimiser.clip_norm, float)
    assert config.batch_size == 16
    assert config.system.compile is True
    assert config.schedule.milestones == (3, 5)
    assert config.data.paths == ("a.tar", "b c")
    assert config.data.name == "a=b"
    assert config.data.augmentation.probability == 0.25
    assert config.loss.parameters == {"scale": 32.0, "margin": 0.4, "beyond_pi": "easy"}
    assert config.backbone.parameters["width"] == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nothing", "not key=value"),
        ("learning_rate=1", "unknown key learning_rate; keys here: recipe, run, backbone.name"),
        ("optimiser.rate=1", "unknown key optimiser.rate; keys here: optimiser.kind, optimiser.lr"),
        ("batch_size=many", "batch_size is an integer; not 'many'"),
        ("batch_size=1.5", "batch_size is an integer"),
        ("optimiser.lr=fast", "optimiser.lr is a number; not 'fast'"),
        ("system.compile=1", "system.compile is true or false"),
        ("precision=fp8", "precision is one of fp32, bf16, fp16; not 'fp8'"),
        ("schedule.milestones=3,x", "schedule.milestones is an integer; not 'x'"),
        ("data=1", "data is a section; its keys: data.paths"),
        ("batch_size.x=1", "batch_size has no parts"),
        ("loss.parameters=1", "set loss.parameters.NAME=value"),
        ("data.augmentation.probability=7", "lie in [0, 1]"),
    ],
)
def test_what_does_not_fit_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        override(recipe("tiny"), [setting])


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_survives_json(name: str) -> None:
    config = recipe(name)
    assert from_json(TrainingConfig, json.loads(json.dumps(to_json(config)))) == config


def test_json_with_an_unknown_key_or_a_wrong_type_is_refused() -> None:
    values = to_json(recipe("tiny"))
    with pytest.raises(ConfigError, match=r"unknown key data\.colour"):
        from_json(TrainingConfig, {**values, "data": {"colour": "red"}})
    with pytest.raises(ConfigError, match="seed is an integer; not True"):
        from_json(TrainingConfig, {**values, "seed": True})


TEXTS = {"recipe", "run", "backbone.name", "backbone.init", "loss.name"}
TEXTS |= {"data.name", "data.licence", "data.paths", "data.verification"}


def test_the_listed_keys_are_those_that_can_be_set() -> None:
    for key in keys(TrainingConfig):
        if key.endswith(".…"):
            continue
        if key in TEXTS:
            override(recipe("tiny"), [f"{key}=?"])
        else:
            with pytest.raises(ValueError, match=r" is |lie in|unknown degradations"):
                override(recipe("tiny"), [f"{key}=?"])
