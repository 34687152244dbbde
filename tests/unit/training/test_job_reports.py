import json
from pathlib import Path

import pytest

from ced.training.job import METRICS, append_report, drop_reports_after, read_reports


def steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / METRICS).read_text().splitlines()]


def test_reports_are_lines_of_json(tmp_path: Path) -> None:
    append_report(tmp_path, {"step": 5, "loss": 0.1 + 0.2})
    append_report(tmp_path, {"step": 10, "loss": 1.0})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 5, "loss": 0.1 + 0.2}, {"step": 10, "loss": 1.0}]


def test_a_number_that_json_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        append_report(tmp_path, {"step": 5, "loss": float("nan")})
    assert not (tmp_path / METRICS).exists()


@pytest.mark.parametrize("step, kept", [(0, []), (5, [5]), (9, [5]), (10, [5, 10]), (99, [5, 10, 15])])
def test_cut_drops_what_comes_after_the_step(tmp_path: Path, step: int, kept: list[int]) -> None:
    for reported in (5, 10, 15):
        append_report(tmp_path, {"step": reported})
    drop_reports_after(tmp_path, step)
    assert steps(tmp_path) == kept


@pytest.mark.parametrize("torn", ['{"step": 10, "lo', "{}", "[1]", "\x00\x00", ""])
def test_cut_drops_a_line_that_was_cut_short(tmp_path: Path, torn: str) -> None:
    append_report(tmp_path, {"step": 5})
    with (tmp_path / METRICS).open("a") as file:
        file.write(torn)
    drop_reports_after(tmp_path, 20)
    append_report(tmp_path, {"step": 10})
    assert steps(tmp_path) == [5, 10]


def test_nothing_to_cut_makes_no_file(tmp_path: Path) -> None:
    drop_reports_after(tmp_path, 3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("torn", ['{"step": 10, "lo', "{}\n", "[1]\n", "\x00\x00\n", '{"step": 10}', "\udcff\n"])
def test_what_is_read_are_whole_reports(tmp_path: Path, torn: str) -> None:
    assert read_reports(tmp_path) == []
    append_report(tmp_path, {"step": 5, "loss": 0.5})
    with (tmp_path / METRICS).open("ab") as file:
        file.write(torn.encode("utf-8", "surrogateescape"))
    assert read_reports(tmp_path) == [{"step": 5, "loss": 0.5}]
