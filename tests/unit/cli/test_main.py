"""The command line: instant help, one clear line and exit code 2 for every mistake."""

import ast
import dataclasses
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ced.cli.main import COMMANDS, Subcommand, load, main, parse
from ced.errors import CedError
from ced.recipes import configure


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a mistake prints."""
    try:
        code = main(arguments)
    except SystemExit as stop:  # argparse's own
        code = stop.code if isinstance(stop.code, int) else 1
    assert code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("ced: error: ")
    assert len([line for line in lines if "error" in line or "Traceback" in line]) == 1
    return lines[-1]


def test_help_is_instant_and_imports_nothing_heavy() -> None:
    """0.3 s of process time in the best of five: a loaded machine is slow now and then, a heavy import always."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "ced", "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "photographs in, tables" in " ".join(done.stdout.split())
    assert min(times) < 0.3
    assert (
        imported_by("--help", ("numpy", "torch", "ray", "prefect", "mlflow", "pyarrow", "PIL", "rich", "ced.config"))
        == []
    )


def imported_by(line: str, modules: tuple[str, ...]) -> list[str]:
    """Those of `modules` that a command line imports in a Python of its own."""
    script = (
        "import sys\nfrom ced.cli.main import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        f"print([name for name in {modules} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, *line.split()], capture_output=True, text=True, check=True)
    return list(ast.literal_eval(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert f"ced {command}" in told and COMMANDS[command].about in " ".join(told.split())


def test_the_help_of_restore_shows_lines_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "--help"])
    assert "\n  a folder             ced restore holiday/ -o restored/\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", [name for name, command in COMMANDS.items() if command.function])
def test_the_help_of_no_command_waits_for_torch_or_a_framework(command: str) -> None:
    assert imported_by(f"{command} --help", ("torch", "ray", "prefect", "mlflow", "matplotlib", "pydantic")) == []


@pytest.mark.parametrize("command", [command for command in COMMANDS.values() if command.function])
def test_every_option_is_explained(command: Subcommand) -> None:
    function, options = load(command)
    assert callable(function)
    for field in dataclasses.fields(options):
        assert all(option.help for option in field.metadata["options"]), field.name


def test_the_nearest_command_and_model_are_named() -> None:
    with pytest.raises(CedError, match="did you mean 'evaluate'"):
        parse(["evalute"])
    with pytest.raises(CedError, match="did you mean 'verify'"):
        parse(["data", "verfy"])
    with pytest.raises(CedError, match="did you mean 'ced-gt'"):
        parse(["train", "ced_gt"])


def test_a_command_takes_its_options_wherever_they_stand() -> None:
    function, options = parse(["evaluate", "--quality", "10", "--lpips", "--images=x", "--quality", "20"])
    assert function.__name__ == "evaluate"
    assert (options.images, options.quality, options.lpips, options.colour, options.methods) == (
        "x", [10, 20], True, None, [],
    )  # fmt: skip
    assert parse(["data", "show", "folder"])[1].examples == 8


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("ced 0.")


@pytest.mark.parametrize(
    ("arguments", "clause"),
    [
        (["run", "quikstart"], "unknown recipe 'quikstart'; did you mean 'quickstart'?"),
        (["run", "--set", "prepare.sise=8"], "did you mean 'size'?"),
        (["run", "--set", "prepare.size=9"], "use a multiple of 8"),
        (["rum"], "did you mean 'run'"),
        (["run", "--stoer", "x"], "unrecognized arguments: --stoer"),
        (["train", "cde-gt"], "did you mean 'ced-gt'"),
        (["prepare", "--images", ""], "--images is empty; name something, or leave it out"),
        (["prepare", "--images", "x", "-o", ""], "-o/--out is empty; name something, or leave it out"),
        (["prepare", "--images=", "--store", "x"], "--images is empty"),
        (["data", "verify", "x", ""], "DIR is empty; name something"),
        (["train", "ed", "--device", "cuda"], "--device goes with --without-ray"),
        (["recipes", "show"], "name one of quickstart"),
        (["recipes", "show", "papr"], "did you mean 'paper'?"),
        (["evaluate", "--images", "x", "--methods", "jpg"], "did you mean 'jpeg'?"),
        (["evaluate", "--images", "x", "--methods", "ed"], "as ed=DIR or with --models DIR"),
        (["evaluate", "--images", "x", "--quality", "0"], "use 1 to 100"),
        (["evaluate", "--images", "x", "--judges", "kid,ssimulacra"], "did you mean 'ssimulacra2'?"),
        (["evaluate", "--images", "x", "--judges", "kid,kid"], "one is named twice"),
        (["evaluate", "--images", "x", "--colour", "rbg"], "unknown colour 'rbg'; did you mean 'rgb'?"),
    ],
)
def test_mistakes_in_arguments(arguments: list[str], clause: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert clause in failing(capsys, *arguments)


def test_photographs_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path / "store")]
    assert "no such folder or file" in failing(capsys, "prepare", "--images", str(tmp_path / "gone"), *store)
    (tmp_path / "empty").mkdir()
    assert "no files in it" in failing(capsys, "prepare", "--images", str(tmp_path / "empty"), *store)
    (tmp_path / "empty" / "notes.txt").write_text("x")
    assert "1 files but no images" in failing(capsys, "evaluate", "--images", str(tmp_path / "empty"), *store)


def test_a_store_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    line = failing(capsys, "prepare", "--images", "builtin:train", "--store", str(tmp_path / "file" / "store"))
    assert "cannot be written" in line
    assert str(tmp_path / "file") in line


def test_an_address_where_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    common = ["--images", "builtin:train", "--store", str(tmp_path)]
    assert "no Ray cluster at 127.0.0.1:9" in failing(capsys, "prepare", *common, "--ray-address", "127.0.0.1:9")
    assert "write it as HOST:PORT" in failing(capsys, "prepare", *common, "--ray-address", "nonsense")
    assert time.monotonic() - started < 15


def test_an_mlflow_address_where_nobody_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    line = failing(capsys, "prepare", "--images", "builtin:train", "--store", str(tmp_path))
    assert "http://127.0.0.1:9" in line
    assert time.monotonic() - started < 15


def test_recipes_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    assert "quickstart" in capsys.readouterr().out
    assert main(["recipes", "show", "quickstart"]) == 0
    shown = capsys.readouterr().out
    assert "prepare.mode=crops" in shown
    assert "images = builtin:train" in shown


def test_a_pattern_is_a_setting_beside_others() -> None:
    line = ["prepare", "--set", "prepare.size=32", "--pattern", "*/test/*=x.JPEG", "--set", "prepare.seed=1"]
    settings = parse(line)[1].settings
    assert settings == ["prepare.size=32", "prepare.pattern=*/test/*=x.JPEG", "prepare.seed=1"]
    assert configure("paper", None, None, settings).prepare.pattern == "*/test/*=x.JPEG"
    assert parse(["prepare"])[1].settings == []


def test_an_output_without_the_letters_is_no_failure() -> None:
    program = (
        "import sys; from ced.cli.main import main; code = main(['recipes']); print('a \N{DAGGER} b'); sys.exit(code)"
    )
    for encoding, written in (("ascii", "a ? b"), ("utf-8", "a \N{DAGGER} b")):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=False)
        assert ended.returncode == 0, ended.stderr.decode()
        assert ended.stdout.decode().splitlines()[-1] == written


PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def written(command: Subcommand) -> set[str]:
    """The options of a command as they are written, without positional ones."""
    _, options = load(command)
    pairs = [(field.name, option) for field in dataclasses.fields(options) for option in field.metadata["options"]]
    names = {option.name or f"--{name.replace('_', '-')}" for name, option in pairs if not option.positional}
    return names | {option.short for _, option in pairs if option.short}


@pytest.mark.parametrize("group", dict.fromkeys(name.split()[0] for name in COMMANDS))
def test_the_page_of_commands_names_every_command_and_option_and_no_other(group: str) -> None:
    sections = dict(re.findall(r"^## ced (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    commands = {name: command for name, command in COMMANDS.items() if name.split()[0] == group and command.function}
    assert all(f"`ced {name}" in sections[group] for name in commands if name != group)
    named = set(re.findall(r"(?<=`)--?[a-z][a-z-]*", sections[group]))
    assert named == set().union(*map(written, commands.values()))
