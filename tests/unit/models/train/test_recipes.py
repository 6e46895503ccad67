import pytest

from models import backbones, losses
from models.train import recipe
from models.train.build import resolve_norm_head
from models.train.config import check
from models.train.recipes import names, summaries


@pytest.mark.parametrize("name", names())
def test_a_recipe_names_itself_and_what_is_registered(name: str) -> None:
    config = recipe(name)
    assert config.recipe == name
    assert config.backbone.name in backbones.names()
    losses.build(config.loss.name, dim=512, num_classes=3, **config.loss.parameters)


def test_the_norm_is_free_where_the_loss_gives_it_a_meaning() -> None:
    for name in names():
        config = recipe(name)
        head = resolve_norm_head(config.backbone, config.loss).parameters["norm_head"]
        assert head == ("free_bn" if config.loss.name == "magface" else "frozen_bn")


def test_a_named_norm_head_stays() -> None:
    config = recipe("tiny")
    named = resolve_norm_head(config.backbone, config.loss)
    assert resolve_norm_head(named, recipe("iresnet100_magface").loss) is named


def test_unknown_recipes_are_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match=r"unknown recipe 'x'; choose from tiny, mobilefacenet"):
        recipe("x")


def test_every_recipe_says_in_a_line_what_it_is() -> None:
    assert all(summary.text.endswith((".", ")")) for summary in summaries()), summaries()


def test_a_run_without_provenance_does_not_start() -> None:
    with pytest.raises(ValueError, match=r"--set data\.paths=… --set data\.name=… --set data\.lic"):
        check(recipe("tiny"))
