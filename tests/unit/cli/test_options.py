"""A dataclass of options is a command's parser, and nothing that a user writes is passed over in silence."""

from dataclasses import dataclass

import pytest

from ced.cli.main import parse
from ced.cli.options import Parser, declare, option, refuse_ignored
from ced.errors import CedError, ConfigError

COUNTING = ("evaluate.*", "publish.experiment")


@dataclass(frozen=True, kw_only=True)
class Base:
    store: str | None = option("DIR", "the store")


@dataclass(frozen=True, kw_only=True)
class Options(Base):
    inputs: list[str] = option("IN", "files", positional=True)
    out_file: str = option("OUT", "a file", short="-o")
    quality: list[int] = option("QF", "a number; repeatable")
    fast: bool = option(help="in a hurry")
    pictures: int = option("N", "how many", default=4)
    colour: str | None = option("y|rgb", "of the image", choices=("y", "rgb"))


def parsed(*words: str) -> Options:
    parser = Parser(prog="ced test")
    declare(parser, Options)
    return Options(**vars(parser.parse_args(words)))


def test_what_is_left_out_is_none_empty_or_its_default() -> None:
    options = parsed("a", "-o", "b")
    assert (options.inputs, options.out_file) == (["a"], "b")
    assert (options.store, options.quality, options.fast, options.pictures, options.colour) == (
        None,
        [],
        False,
        4,
        None,
    )


def test_types_follow_from_the_fields() -> None:
    words = ["a", "b", "--out-file=c", "--quality", "1", "--quality=2", "--fast", "--pictures", "0", "--colour", "y"]
    options = parsed(*words, "--store", "d")
    assert options == Options(
        inputs=["a", "b"], out_file="c", quality=[1, 2], fast=True, pictures=0, colour="y", store="d"
    )
    assert parsed("a", "-o", "b").quality == [], "nothing of an earlier line is left"


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        ("a", "the following arguments are required: -o/--out-file"),
        ("-o b", "the following arguments are required: IN"),
        ("a -o b --quality x", "argument --quality: invalid int value: 'x'"),
        ("a -o b --fsat", "unrecognized arguments: --fsat"),
    ],
)
def test_a_mistake_is_one_line_and_where_to_look(words: str, clause: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parsed(*words.split())
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"ced: error: {clause}; see `ced test --help`\n"


def test_one_of_a_few_words_is_refused_with_the_nearest() -> None:
    with pytest.raises(CedError, match="unknown colour 'rbg'; did you mean 'rgb'"):
        parsed("a", "-o", "b", "--colour", "rbg")


@pytest.mark.parametrize("words", [["", "-o", "b"], ["a", "-o", ""], ["a", "-o", "b", "--store="]])
def test_an_empty_word_is_refused(words: list[str]) -> None:
    with pytest.raises(CedError, match=r"^(IN|-o/--out-file|--store) is empty; name something"):
        parsed(*words)


def test_own_options_come_before_those_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    usage, _, listed = capsys.readouterr().out.partition("options:")
    assert usage.startswith("usage: ced test [-h] -o OUT [--quality QF] [--fast]")
    assert listed.index("--out-file") < listed.index("--quality QF") < listed.index("--store DIR")


def test_a_pattern_is_a_setting() -> None:
    _, options = parse(["prepare", "--pattern", "*/test/*", "--set", "prepare.size=128"])
    assert options.settings == ["prepare.pattern=*/test/*", "prepare.size=128"]


def test_what_counts_is_taken() -> None:
    refuse_ignored(["evaluate.timeout=5", " publish.experiment =mine", "evaluate.name=a=b"], COUNTING, {})
    refuse_ignored([], COUNTING, {"evaluate.methods": "--methods"})
    refuse_ignored(["evaluate.timeout=5"], COUNTING, {"evaluate.methods": "--methods"})


@pytest.mark.parametrize("setting", ["network.width=3", "publish.model=x", "evaluations.x=1"])
def test_what_does_not_count_is_refused_with_what_does(setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_ignored(["evaluate.timeout=5", setting], COUNTING, {})
    path = setting.partition("=")[0]
    line = f"--set {path}: does not count here, where evaluate.* and publish.experiment do; leave it out"
    assert str(caught.value) == line


def test_an_option_and_its_setting_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match=r"--set evaluate.qualities beside --quality: give one of the two"):
        refuse_ignored(["evaluate.qualities=30"], COUNTING, {"evaluate.qualities": "--quality"})
