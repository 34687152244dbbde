"""`ced recipes` prints what --set takes."""

import pytest

from ced.cli.main import main
from ced.config import Config, override
from ced.networks import NETWORKS
from ced.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_shown_can_be_set(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    settings = [line for line in lines if " = " not in line]
    shown = override(Config(), settings)
    recipe = RECIPES[name]()
    assert all(getattr(shown, section) == getattr(recipe, section) for section in ("prepare", "network", "classifier"))


def test_the_list_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)


def test_it_tells_what_the_networks_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", "medium"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "network of ed = 1,034,513 parameters, 68.2 G multiply-adds a megapixel" in lines
    assert [line.split()[2] for line in lines if line.startswith("network of")] == list(NETWORKS.names)


def test_settings_are_shown_as_they_would_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", "medium", "--set", "network.width=128"]) == 0
    shown = capsys.readouterr().out
    assert "network.width=128" in shown and "network of ed = 1,034,513" not in shown
