"""`ced train --data`: what was prepared counts, and whatever would not count is told."""

from pathlib import Path

import pytest

from ced.cli.arguments import parser
from ced.cli.stages import given
from ced.errors import ConfigError, InputError
from ced.recipes import configure
from ced.stages.train import Data


def found(folder: Path, *options: str) -> Data:
    arguments = parser().parse_args(["train", "ed", "--data", str(folder), *options])
    return given(arguments, configure(arguments.recipe, arguments.images, None, arguments.settings))


def words(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["network.width=8", "autoencoder.steps=3"],
        ["prepare.size=32", "prepare.crops=2", "prepare.colour=y", "prepare.flip=yes", "classes.count=7"],
        ["prepare.size=64", "prepare.size=32"],
    ],
)
def test_settings_that_the_examples_were_made_with_may_be_said_again(pristine: Path, settings: list[str]) -> None:
    data = found(pristine, *words(settings))
    assert (data.labelled.path, data.classes.path) == (pristine / "label", pristine / "edges")


@pytest.mark.parametrize(
    ("settings", "clause"),
    [
        (["prepare.size=64"], r"prepare.size=64 beside --data: the examples in .*out were made with size=32; leave it"),
        (["prepare.quality=20"], "were made with quality=10; leave it out, or prepare them again"),
        (["prepare.flip=no"], "prepare.flip=False beside --data: .* flip=True"),
        (["prepare.colour=rgb"], "colour=y"),
        (["network.width=8", "classes.count=5"], "classes.count=5 beside --data: .* count=7"),
    ],
)
def test_settings_that_would_not_count_are_refused(pristine: Path, settings: list[str], clause: str) -> None:
    with pytest.raises(ConfigError, match=clause):
        found(pristine, *words(settings))


def test_a_pattern_or_photographs_beside_the_data_are_refused(pristine: Path) -> None:
    with pytest.raises(ConfigError, match=r"prepare.pattern=\*.png beside --data"):
        found(pristine, "--pattern", "*.png")
    with pytest.raises(ConfigError, match=r"--images beside --data: .*out holds examples already; give one of the two"):
        found(pristine, "--images", "builtin:train")


def test_a_folder_without_data_is_refused(pristine: Path) -> None:
    with pytest.raises(InputError, match=r"edges.label: no finished output of `ced prepare -o` there"):
        found(pristine / "edges")
