"""Recipes are full configurations under a name."""

import dataclasses
import itertools

import pytest

from ced.config import Config
from ced.errors import ConfigError
from ced.models.base import size_of
from ced.networks import NETWORKS
from ced.recipes import RECIPES, configure, medium, paper, quickstart, small, small_rgb


@pytest.mark.parametrize("name", RECIPES)
def test_each_is_a_full_valid_configuration_with_one_line_about_it(name: str) -> None:
    assert isinstance(RECIPES[name](), Config)
    assert len((RECIPES[name].__doc__ or "").strip().splitlines()) == 1


def test_quickstart_needs_nothing_but_itself() -> None:
    assert quickstart().images == ("builtin:train",)
    assert quickstart().test_images == "builtin:test"


def test_the_paper_recipe_is_the_papers_setting() -> None:
    config = paper()
    assert (config.prepare.mode, config.prepare.size, config.prepare.flip) == ("resize", 96, True)
    assert (config.classes.count, config.network.stages, config.prepare.quality) == (7, 2, "10")


def test_medium_is_small_with_another_network() -> None:
    assert dataclasses.replace(medium(), network=small().network) == small()
    assert medium().network.blocks > small().network.blocks


def test_small_rgb_is_small_in_colour_throughout() -> None:
    settings = ["prepare.colour=rgb", "evaluate.colour=rgb"]
    assert small_rgb() == configure("small", settings=settings)
    assert small_rgb().prepare.channels == 3


def test_the_sizes_grow_from_recipe_to_recipe() -> None:
    sizes = [
        [size_of(m, RECIPES[name]().network, 1, 7) for m in NETWORKS.names[:4]] for name in RECIPES if "rgb" not in name
    ]
    for smaller, larger in itertools.pairwise(sizes):
        for a, b in zip(smaller, larger, strict=True):
            assert a.parameters < b.parameters and a.multiply_adds_per_megapixel < b.multiply_adds_per_megapixel


@pytest.mark.parametrize(
    "setting",
    ["prepare.colour=rgb", "prepare.quality=20", "prepare.size=128", "network.stages=1", "network.stages=3"],
)
def test_every_setting_of_the_paper_is_one_step_from_every_recipe(setting: str) -> None:
    section, _, key = setting.partition("=")[0].partition(".")
    for name in RECIPES:
        config = configure(name, settings=[setting])
        assert str(getattr(getattr(config, section), key)) == setting.partition("=")[2]


def test_settings_come_on_top() -> None:
    assert configure("paper", ["photos"], "live1", ["network.stages=3"]).network.stages == 3
    with pytest.raises(ConfigError, match="network.stages"):
        configure("paper", settings=["network.stages=0"])
