"""Real programs as methods: what they write is read, and however they go wrong is said."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from ced.errors import ConfigError
from ced.methods import Damaged, Failed, checked
from ced.methods.command import Command, words

PYTHON = shlex.quote(sys.executable)


def command(line: str, folder: Path, timeout: float = 30) -> Command:
    return Command("mine", words("mine", line), folder, timeout)


def script(folder: Path, text: str) -> str:
    (folder / "program.py").write_text(text)
    return f"{PYTHON} program.py {{input}} {{output}} {{quality}}"


def test_a_program_that_copies_is_jpeg(tmp_path: Path, gray: Damaged, colour: Damaged) -> None:
    method = command("cp {input} {output}", tmp_path)
    assert (method.name, method.colour, method.timed) == ("mine", "any", True)
    for damaged in (gray, colour):
        assert np.array_equal(checked(method, damaged), damaged.image)


def test_it_runs_where_the_user_is_and_is_told_the_quality(tmp_path: Path, gray: Damaged) -> None:
    lines = ["import sys", "from PIL import Image", "image = Image.open(sys.argv[1])"]
    lines.append("image.point(lambda v: int(sys.argv[3])).save(sys.argv[2])")
    restored = checked(command(script(tmp_path, "\n".join(lines)), tmp_path), gray)
    assert (restored == 10).all()


def test_no_shell_sees_the_line(tmp_path: Path, gray: Damaged) -> None:
    lines = ["import shutil, sys", "assert sys.argv[4:] == ['$HOME', '; touch gone', '*', 'a,b'], sys.argv"]
    lines.append("shutil.copy(*sys.argv[1:3])")
    line = script(tmp_path, "\n".join(lines)) + " '$HOME' '; touch gone' * a,b"
    assert np.array_equal(checked(command(line, tmp_path), gray), gray.image)
    assert not (tmp_path / "gone").exists()


def test_nothing_is_left_behind(tmp_path: Path, gray: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    checked(command("cp {input} {output}", tmp_path), gray)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("raise SystemExit('out of\\nluck')", "exit code", "ended with 1 (luck)"),
        ("print('nothing to do')", "no output", "{output} (nothing to do)"),
        ("import sys; open(sys.argv[2], 'w').write('words')", "not an image", "no known image format"),
        ("import sys; open(sys.argv[2], 'w')", "empty", "no bytes"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "exit code", "ended with -11"),
        (
            "import sys; from PIL import Image; Image.open(sys.argv[1]).resize((9, 9)).save(sys.argv[2])",
            "another size",
            "9x9, not 70x45",
        ),
    ],
)
def test_a_program_that_goes_wrong_says_how(
    tmp_path: Path, gray: Damaged, text: str, reason: str, message: str
) -> None:
    with pytest.raises(Failed) as caught:
        checked(command(script(tmp_path, text), tmp_path), gray)
    assert caught.value.reason == reason
    assert message in caught.value.message


def test_a_late_program_is_stopped(tmp_path: Path, gray: Damaged) -> None:
    with pytest.raises(Failed, match="was stopped after 0.3 s") as caught:
        checked(command(script(tmp_path, "import time; time.sleep(60)"), tmp_path, timeout=0.3), gray)
    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    ("line", "clause"),
    [
        ("cp {input}", "no {output} in"),
        ("cp", "no {input} and no {output} in"),
        ("no-such-program-here {input} {output}", "no program 'no-such-program-here'"),
        ("cp '{input} {output}", "No closing quotation"),
    ],
)
def test_a_line_that_cannot_work_is_refused_before_any_work(line: str, clause: str) -> None:
    with pytest.raises(ConfigError, match=clause):
        words("mine", line)
