from pathlib import Path

import pytest
import torch

from ced.training import memory

CPU = torch.device("cpu")


def test_this_machine_has_some_memory_free() -> None:
    assert 1 << 20 < memory.free(CPU) < 1 << 50


def test_what_programs_could_still_get(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:   70 kB\n")
    assert memory._of_machine(tmp_path / "meminfo") == 70 * 1024


def test_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert memory._of_machine(tmp_path / "nowhere") > 1 << 20


@pytest.mark.parametrize("limit, expected", [("1000", 600), ("max", 1 << 62)])
def test_within_a_containers_limit(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert memory._of_group(tmp_path) == expected


def test_the_lesser_of_both_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000")
    (tmp_path / "memory.current").write_text("400")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free(CPU) == 600
