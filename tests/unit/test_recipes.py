"""Recipes are full configurations under a name."""

import pytest

from ced.config import Config
from ced.errors import ConfigError
from ced.recipes import RECIPES, configure, paper, quickstart


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


def test_settings_come_on_top() -> None:
    assert configure("paper", ["photos"], "live1", ["network.stages=3"]).network.stages == 3
    with pytest.raises(ConfigError, match="network.stages"):
        configure("paper", settings=["network.stages=0"])
