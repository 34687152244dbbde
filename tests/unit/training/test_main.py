import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ced.training.__main__ import main
from ced.training.job import TrainJob

MakeJob = Callable[..., TrainJob]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], int]:
    def call(path: Path) -> int:
        monkeypatch.setattr("sys.argv", ["ced.training", "--job", str(path)])
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
