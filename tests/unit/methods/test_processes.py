"""Programs end, are stopped with everything they started, and their last words are kept."""

import sys
import time
from pathlib import Path

import pytest

from ced.methods.processes import run


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
