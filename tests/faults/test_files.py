"""A short form of the standing test "Files"; `make test-faults` has the long one."""

from pathlib import Path

from tests.faults.damage import corpus, damaged
from tests.faults.files import run


def test_damaged_files_are_restored_or_refused_in_a_line(tmp_path: Path) -> None:
    for outcome in run(300, 14, tmp_path, batch=300):
        assert not outcome.lost, outcome.lost
        assert outcome.files == outcome.restored + sum(outcome.refused.values()) == 300
        assert outcome.restored > 30 and len(outcome.refused) > 2
        assert "crashed" not in outcome.refused, "what a decoder raises is a reason of its own"


def test_the_files_are_those_of_their_seed() -> None:
    assert [damaged(3, n) for n in range(40)] == [damaged(3, n) for n in range(40)]
    assert len({stream for _, stream in (damaged(3, n) for n in range(200))}) > 150
    assert {"jpeg", "png-animated", "tiff-tiff_lzw", "avif", "webp", "mpo", "other-eps", "other-pdf"} <= set(corpus())
