"""The commands' arguments, and that each command's work is where its row says."""

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ced.cli import stages
from ced.cli.arguments import COMMANDS, parser
from ced.errors import CedError, ConfigError
from ced.networks import NETWORKS
from ced.restoration import restorer


def choices(of: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_work_of_every_command_is_there(command: str) -> None:
    one = dict(choices(parser()))[command]
    module = importlib.import_module(COMMANDS[command].module)
    for name in [name for name, _ in choices(one)] or [command]:
        assert callable(getattr(module, name.replace("-", "_")))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_is_explained(command: str) -> None:
    one = dict(choices(parser()))[command]
    for each in [sub for _, sub in choices(one)] or [one]:
        silent = [
            action.dest for action in each._actions if action.help is None and action.dest not in ("name", "recipe")
        ]
        assert silent == []


def test_the_nearest_command_and_model_are_named() -> None:
    with pytest.raises(CedError, match="did you mean 'evaluate'"):
        parser().parse_args(["evalute"])
    with pytest.raises(CedError, match="did you mean 'ced-gt'"):
        parser().parse_args(["train", "ced_gt"])


def test_a_pattern_is_a_setting() -> None:
    found = parser().parse_args(["prepare", "--pattern", "*/test/*", "--set", "prepare.size=128"])
    assert found.settings == ["prepare.pattern=*/test/*", "prepare.size=128"]


def test_weights_to_start_from_are_for_every_model_or_for_the_named() -> None:
    assert stages.start([], NETWORKS.names) == {}
    both = ("classifier", "ced-gt")
    assert stages.start(["a=b"], both) == dict.fromkeys(both, Path("a=b").resolve())
    each = stages.start(["classifier=released", "ed=models"], NETWORKS.names)
    assert each == {"classifier": restorer.RELEASED, "ed": Path("models").resolve()}
    for twice in (["ed=a", "ed=b"], ["a", "b"], ["a", "ed=b"]):
        with pytest.raises(ConfigError, match="has a folder already"):
            stages.start(twice, NETWORKS.names)


def test_weights_for_a_model_that_is_not_trained_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--start-from ed=a: ed is not trained here, classifier and ced-gt alone"):
        stages.start(["ed=a"], ("classifier", "ced-gt"))
