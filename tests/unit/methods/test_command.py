"""Real programs as methods: what they write is read, and however they go wrong is said."""

import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ced.errors import ConfigError
from ced.methods import Damaged, Failed, checked
from ced.methods.command import CommandMethod, run, words

PYTHON = shlex.quote(sys.executable)


def command(line: str, folder: Path, timeout: float = 30) -> CommandMethod:
    return CommandMethod("mine", words("mine", line), folder, timeout)


def script(folder: Path, text: str) -> str:
    (folder / "program.py").write_text(text)
    return f"{PYTHON} program.py {{input}} {{output}} {{quality}}"


def test_a_program_that_copies_is_jpeg(tmp_path: Path, gray: Damaged, colour: Damaged) -> None:
    method = command("cp {input} {output}", tmp_path)
    assert (method.name, method.colours, method.timed) == ("mine", ("y", "rgb"), True)
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


def python(code: str, folder: Path, timeout: float = 30.0) -> tuple[int | None, str]:
    return tuple(run([sys.executable, "-c", code], folder, folder / "said", timeout))


def test_the_code_and_the_last_line(tmp_path: Path) -> None:
    assert python("print('one'); print('two\\n\\n')", tmp_path) == (0, "two")
    assert python("import sys; sys.exit('what a pity')", tmp_path) == (1, "what a pity")
    assert python("", tmp_path) == (0, "")


def test_it_runs_in_the_folder_and_reads_nothing(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), repr(sys.stdin.read()))"
    assert python(code, tmp_path) == (0, f"{tmp_path.resolve()} ''")


def test_much_output_is_no_obstacle_and_odd_bytes_are_left_out(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('x' * 5_000_000 + '\\n'); sys.stdout.buffer.write(b'\\x1b[31mred\\xff\\n')"
    code_, last = python(code.replace("sys.stdout.buffer", "sys.stdout.flush(); sys.stdout.buffer"), tmp_path)
    assert (code_, last) == (0, "[31mred\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("program", ["/no/such/program", "/etc/hostname"])
def test_what_cannot_be_started_ends_with_127(tmp_path: Path, program: str) -> None:
    code, last = run([program], tmp_path, tmp_path / "said", 5)
    assert code == 127
    assert last


def test_a_late_program_and_its_children_are_stopped(tmp_path: Path) -> None:
    child = "import time, pathlib; time.sleep(1.5); pathlib.Path('late').touch()"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    started = time.monotonic()
    assert python(code, tmp_path, timeout=0.7)[0] is None
    assert time.monotonic() - started < 5
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()


def test_what_a_program_leaves_running_goes_with_it(tmp_path: Path) -> None:
    child = "import time, pathlib; time.sleep(1); pathlib.Path('late').touch()"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])"
    assert python(code, tmp_path)[0] == 0
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()
