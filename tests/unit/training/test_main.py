import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ced.training.__main__ import main
from ced.training.job import TrainJob

MakeJob = Callable[..., TrainJob]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def call(path: Path, *options: str) -> int:
        monkeypatch.setattr("sys.argv", ["ced.training", "--job", str(path), *options])
        return main()

    return call


def test_it_trains_and_prints_each_report(
    job_of: MakeJob, tmp_path: Path, run: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    job = job_of()
    (tmp_path / "job.json").write_text(job.to_json())
    assert run(tmp_path / "job.json") == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    written = [json.loads(line) for line in Path(job.out, "metrics.jsonl").read_text().splitlines()]
    assert printed == written and len(printed) == 3


@pytest.mark.parametrize("text", [None, "not a job"])
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, run: Callable, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    path = tmp_path / "job.json"
    if text is not None:
        path.write_text(text)
    assert run(path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith(f"ced: {path}: ")


def test_a_setting_that_would_not_count_is_refused(
    job_of: MakeJob, tmp_path: Path, run: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.json").write_text(job_of().to_json())
    assert run(tmp_path / "job.json", "--set", "autoencoder.steps=5") == 2
    assert "setting 'autoencoder.steps=5': cluster.key=value alone counts here" in capsys.readouterr().err


def test_ctrl_c_is_no_traceback(job_of: MakeJob, start: Callable) -> None:
    job = job_of(steps=100_000, report_every=1, checkpoint_every=100_000)
    process = start(job, foreground=True)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "ced: stopped; the same command goes on where this one ended\n"
    assert torch.load(Path(job.out, "checkpoint.pt"), weights_only=True)["state"]["step"] >= 1


WAITING = """
import os, sys
from ced.training.__main__ import main
assert "torch" not in sys.modules, "it reads the environment when it is imported"
sys.argv = ["ced.training", "--job", sys.argv[1]]
assert main() == 0
print(os.environ["OMP_WAIT_POLICY"])
"""


def test_threads_that_wait_sleep(job_of: MakeJob, tmp_path: Path, python_path: dict[str, str]) -> None:
    """Those that spin are several times slower on cores that others use too."""
    (tmp_path / "job.json").write_text(job_of(steps=1).to_json())
    unset = {name: value for name, value in python_path.items() if name != "OMP_WAIT_POLICY"}
    line = [sys.executable, "-c", WAITING, str(tmp_path / "job.json")]
    done = subprocess.run(line, env=unset, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "PASSIVE", done.stderr
