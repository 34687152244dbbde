"""Which steps are passed over, from what earlier attempts have left."""

from pathlib import Path

from ced.store.attempts import MOST, Attempts


def attempt(path: Path, *steps: str) -> Attempts:
    """One that ends at the last of its steps, as a process does that is killed."""
    attempts = Attempts(path)
    for step in steps:
        attempts.take(step, Refused)
    return attempts


class Refused(Exception):
    """What is raised for a step that is passed over."""


def deadly(attempts: Attempts, step: str) -> bool:
    try:
        attempts.take(step, Refused)
    except Refused:
        return True
    return False


def test_a_step_is_passed_over_once_the_process_ended_there_often_enough(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "part.begun"
    for number in range(MOST):
        found = attempt(path, "original", "jpeg", "mine")
        assert not deadly(found, "mine"), f"after {number} ends"
    found = attempt(path, "original", "jpeg")
    assert deadly(found, "mine") and not deadly(found, "jpeg") and not deadly(found, "original")


def test_ends_at_other_steps_and_before_the_first_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "part.begun"
    for last in ("a", "b", "", "a", "b", ""):
        attempt(path, "original", *([last] if last else []))
    attempt(path)
    attempt(path)
    found = Attempts(path)
    assert not any(deadly(found, step) for step in ("original", "a"))  # and here, the third time, it ends at "a"
    found = Attempts(path)
    assert deadly(found, "a") and not deadly(found, "b") and not deadly(found, "original")


def test_a_pause_is_to_blame_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "part.begun"
    for _ in range(MOST):
        attempt(path, "original", "mine").pause()
    found = Attempts(path)
    assert not deadly(found, "original") and not deadly(found, "mine")


def test_what_is_done_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "part.begun"
    for _ in range(MOST):
        last = attempt(path, "mine")
    last.end()
    assert not path.exists() and not deadly(Attempts(path), "mine")
    last.end()


def test_earlier_attempts_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "part.begun"
    assert [attempt(path, *steps).before for steps in ((), ("mine",), ("mine", "other"), ())] == [0, 1, 2, 3]
    Attempts(path).end()
    assert Attempts(path).before == 0
