"""What was done is known after any end: rows come before files, and what is torn says nothing."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ced import schema
from ced.bulk.places import Folder
from ced.bulk.record import ASIDE, FOLDER, LEFT, RESTORED, Journal, Record, RestoredRow, noted
from ced.errors import FormatError


def row(source: str, output: str = "", data: bytes = b"", **others: object) -> RestoredRow:
    digest = hashlib.sha256(data).hexdigest() if output else ""
    written = {"output": output, "output_size": len(data), "output_digest": digest}
    return RestoredRow(source=source, stamp="1", restorer="r", settings="s", **{"done": RESTORED, **written, **others})


def rows(folder: Path) -> list[dict[str, object]]:
    table = pq.read_table(folder / FOLDER)
    assert table.schema.equals(schema.RESTORED)
    return table.to_pylist()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_row_whose_file_did_not_come_was_not_finished(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    journal = Journal(place, 1)
    for name in ("a", "b"):
        journal.note(row(f"d/{name}.jpg", f"{name}.png", b"new"))
    place.write("a.png", b"new")
    record = Record(place)
    assert record.named() == {"d/a.jpg": "a.png"} and record.newest("d/b.jpg") is None
    assert record.next_run == 2
    assert noted(place, 1, "d/b.jpg") == row("d/b.jpg", "b.png", b"new") and noted(place, 2, "d/b.jpg") is None


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    for source in ("a", 'b\n"ü"'):
        Journal(place, 1).note(row(source, reason="x", done=LEFT))
    (journal, _) = (tmp_path / FOLDER).iterdir()
    with journal.open("ab") as file:
        file.write(b'{"source": "c", "sta')
    assert {source for source in ("a", 'b\n"ü"', "c") if Record(place).newest(source)} == {"a", 'b\n"ü"'}


def test_closing_leaves_one_row_a_source_and_no_journal(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    for run, data in ((1, b"old"), (2, b"new")):
        journal = Journal(place, run)
        for source in ("b", "a"):
            journal.note(row(source, f"{source}.png", data, quality=run))
            place.write(f"{source}.png", data)
        (tmp_path / f".a.png.{run}.tmp").write_bytes(b"half")
        Record(place, whole=run).close()
    assert [(one["source"], one["quality"]) for one in rows(tmp_path)] == [("a", 2), ("b", 2)]
    assert files(tmp_path) == ["a.png", "b.png", "part-00000.parquet"]
    assert Record(place).digest("a.png") == hashlib.sha256(b"new").hexdigest()


def test_an_output_that_another_replaces_goes_unless_it_was_changed(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    for run, suffix in ((1, "png"), (2, "webp")):
        journal = Journal(place, run)
        for source in ("a", "b"):
            journal.note(row(source, f"{source}.{suffix}", b"data"))
            place.write(f"{source}.{suffix}", b"data")
        if run == 1:
            (tmp_path / "b.png").write_bytes(b"edited")
        Record(place, whole=run).close()
    assert files(tmp_path) == ["a.webp", "b.png", "b.webp", "part-00000.parquet"]


def test_the_output_of_a_source_that_was_damaged_since_stays(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    Journal(place, 1).note(row("a", "a.png", b"data"))
    place.write("a.png", b"data")
    Record(place, whole=1).close()
    Journal(place, 2).note(row("a", done=ASIDE, reason="damaged"))
    Record(place, whole=2).close()
    (only,) = rows(tmp_path)
    assert (only["done"], only["output"], only["reason"]) == (ASIDE, "a.png", "damaged")
    assert (tmp_path / "a.png").read_bytes() == b"data" and Record(place).digest("a.png")


def test_many_rows_are_several_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ced.bulk.record._ROWS", 2)
    place = Folder(tmp_path)
    journal = Journal(place, 1)
    for number in range(5):
        journal.note(row(f"{number}", done=LEFT))
    Record(place, whole=1).close()
    assert files(tmp_path) == [f"part-0000{number}.parquet" for number in range(3)]
    assert [one["source"] for one in rows(tmp_path)] == list("01234")


@pytest.mark.parametrize("name", ["part-00000.parquet", ".journal-000001-x-1-y"])
def test_another_program_s_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / name).write_bytes(b"not a record\n")
    with pytest.raises(FormatError, match=name):
        Record(Folder(tmp_path))


def test_a_record_is_read_by_no_thread_of_arrows(tmp_path: Path) -> None:
    """Such a thread may still hold bytes of Python's when the command exits, which ends it by SIGABRT now and then."""
    place = Folder(tmp_path)
    Journal(place, 1).note(row("a", "a.png", b"new"))
    place.write("a.png", b"new")
    Record(place).close()
    Journal(place, 2).note(row("b", "b.png", b"new"))
    count = "len(os.listdir('/proc/self/task'))"
    read = f"before = {count}; Record(Folder(sys.argv[1])); print({count} - before)"
    imports = "import os, sys, pathlib; from ced.bulk.places import Folder; from ced.bulk.record import Record"
    code = f"{imports}; sys.argv[1] = pathlib.Path(sys.argv[1]); {read}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
