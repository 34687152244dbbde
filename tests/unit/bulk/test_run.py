"""A folder restored again and again: nothing is done twice, nothing of others is touched, the counts add up."""

import dataclasses
import io
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from ced.bulk.run import Summary
from ced.errors import InputError, OutputError
from ced.pipeline.restoring import Restoring, many

Write = Callable[..., Path]


def contents(folder: Path) -> dict[str, bytes]:
    """The outputs in a folder."""
    found = [path for path in folder.rglob("*") if path.is_file() and "restored.parquet" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def counts(summary: Summary) -> tuple[int, ...]:
    """Were there, restored, left, set aside; they add up."""
    found = (summary.there, summary.restored, summary.left, summary.aside)
    assert sum(found) == summary.files
    return found


def rows(out: Path) -> dict[str, dict[str, object]]:
    found = pq.read_table(out / "restored.parquet").to_pylist()
    by_source = {row["source"]: row for row in found}
    assert len(by_source) == len(found)
    return by_source


@pytest.fixture
def folder(tmp_path: Path, photograph: Write) -> Path:
    """Three photographs, two of one name, and a file that is none."""
    for number, name in enumerate(("a.jpg", "x.jpg", "x.jpeg", "below/c.jpg")):
        photograph(tmp_path / "d" / name, number)
    (tmp_path / "d" / "bad.jpg").write_bytes(b"nothing")
    return tmp_path / "d"


@pytest.fixture
def how(model: Path) -> Restoring:
    return Restoring(model=str(model))


def test_the_output_is_never_an_input(folder: Path, how: Restoring, tmp_path: Path) -> None:
    outside = tmp_path / "out"
    assert counts(many(how, [str(folder)], str(outside))) == (0, 4, 0, 1)
    assert sorted(contents(outside)) == ["a.png", "below/c.png", "x.jpeg.png", "x.png"]
    for there, restored in ((0, 4), (4, 0), (4, 0)):
        assert counts(many(how, [str(folder)], str(folder / "restored"))) == (there, restored, 0, 1)
        assert contents(folder / "restored") == contents(outside)
    shutil.copytree(outside, tmp_path / "e" / "out")
    with pytest.raises(InputError, match="nothing in it but what was restored"):
        many(how, [str(tmp_path / "e")], str(tmp_path / "e" / "out"))
    with pytest.raises(OutputError, match="holds the inputs; name another folder, such as .*/d/restored"):
        many(how, [str(folder)], str(folder / ".." / "d"))


def test_an_output_above_its_inputs(folder: Path, how: Restoring) -> None:
    """Each file is listed as it was before, but for what was restored."""
    for there, restored in ((0, 1), (1, 0)):
        assert counts(many(how, [str(folder / "below")], str(folder))) == (there, restored, 0, 0)
    assert counts(many(how, [str(folder)], str(folder / "all"))) == (0, 5, 0, 1), "c.png is another's input"


def test_what_was_done_adds_up_in_the_record(folder: Path, how: Restoring, tmp_path: Path) -> None:
    summary = many(how, [str(folder)], str(tmp_path / "out"))
    found = rows(tmp_path / "out")
    assert sorted(found) == ["d/a.jpg", "d/bad.jpg", "d/below/c.jpg", "d/x.jpeg", "d/x.jpg"]
    assert found["d/bad.jpg"]["reason"] == "no known image format (not an image)"
    assert [row["done"] for row in found.values()].count("restored") == summary.restored
    row = found["d/a.jpg"]
    assert (row["output"], row["quality"], row["size"]) == ("a.png", 20, (folder / "a.jpg").stat().st_size)
    assert str(row["restorer"]).startswith("model")
    assert summary.aside_named == ["d/bad.jpg: no known image format (not an image)"]
    assert not list((tmp_path / "out" / "restored.parquet").glob(".journal*"))


def test_only_what_differs_is_done_again(folder: Path, how: Restoring, tmp_path: Path, photograph: Write) -> None:
    out = tmp_path / "out"
    many(how, [str(folder)], str(out))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    photograph(folder / "x.jpg", 77)  # another photograph
    photograph(folder / "new.jpg", 8)
    os.utime(folder / "a.jpg", ns=(1, 1))  # the same one, copied
    (out / "below" / "c.png").unlink()
    assert counts(many(how, [str(folder)], str(out))) == (2, 3, 0, 1)
    assert {path.name for path, time in before.items() if path.stat().st_mtime_ns == time} == {"a.png", "x.jpeg.png"}
    assert rows(out)["d/a.jpg"]["stamp"] != rows(out)["d/x.jpg"]["stamp"]
    assert counts(many(how, [str(folder)], str(out))) == (5, 0, 0, 1)


def test_what_is_left_keeps_its_name_and_its_bytes(tmp_path: Path, photograph: Write) -> None:
    source, out = tmp_path / "d", tmp_path / "out"
    for number, name in enumerate(("a.JPEG", "b.jfif", "c", "x.jpg")):
        photograph(source / name, number, quality=95)
    for name, kind in {"d.tiff": "TIFF", "e.jpg": "PNG", "f.TIF": "TIFF", "x.png": "PNG"}.items():
        Image.open(source / "x.jpg").save(source / name, kind)
    photograph(source / "y.jpg", 3)
    Image.open(source / "x.jpg").save(source / "y.png")
    for there in (0, 10):
        assert counts(many(Restoring(), [str(source)], str(out))) == (there, 1 - there // 10, 9 - there * 9 // 10, 0)
        outputs, inputs = contents(out), contents(source)
        assert outputs.pop("y.jpg.png") != inputs.pop("y.jpg") and outputs == inputs


@pytest.mark.parametrize("other", [{"self_ensemble": True}, {"strip": True}, {"damaged": True}])
def test_other_settings_are_other_files(folder: Path, how: Restoring, tmp_path: Path, other: dict[str, bool]) -> None:
    out = tmp_path / "out"
    many(how, [str(folder)], str(out))
    limits = dataclasses.replace(how, format="png", max_pixels=10_000, max_seconds=20, workers=1)
    assert counts(many(limits, [str(folder)], str(out))) == (4, 0, 0, 1), (
        "neither a limit nor what is the default is another setting"
    )
    changed = dataclasses.replace(how, **other)
    assert counts(many(changed, [str(folder)], str(out))) == (0, 4, 0, 1)
    assert counts(many(changed, [str(folder)], str(out))) == (4, 0, 0, 1)
    assert counts(many(how, [str(folder)], str(out))) == (0, 4, 0, 1)


def test_another_restorer_restores_again(folder: Path, how: Restoring, tmp_path: Path) -> None:
    many(how, [str(folder)], str(tmp_path / "out"))
    assert counts(many(Restoring(), [str(folder)], str(tmp_path / "out"))) == (0, 4, 0, 1)
    assert str(rows(tmp_path / "out")["d/a.jpg"]["restorer"]).startswith("released ")


@pytest.mark.parametrize("spoil", ["foreign", "edited"])
def test_files_of_others_are_refused_before_any_work(folder: Path, how: Restoring, tmp_path: Path, spoil: str) -> None:
    out = tmp_path / "out"
    if spoil == "edited":
        many(how, [str(folder)], str(out))
    (out / "below").mkdir(parents=True, exist_ok=True)
    (out / "below" / "c.png").write_bytes(b"mine")
    before = contents(out)
    with pytest.raises(OutputError, match="out/below/c.png: there already, and not as this command wrote it"):
        many(how, [str(folder)], str(out))
    assert contents(out) == before
    many(dataclasses.replace(how, overwrite=True), [str(folder)], str(out))
    with Image.open(io.BytesIO(contents(out)["below/c.png"])) as image:
        assert image.size == (40, 40)
    assert counts(many(how, [str(folder)], str(out))) == (4, 0, 0, 1)


def test_a_name_that_cannot_be_is_a_reason_for_that_file(
    folder: Path, how: Restoring, tmp_path: Path, photograph: Write
) -> None:
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    long = photograph(folder / f"{'n' * 249}.jpg")  # with what a file is called while it is written, too long
    summary = many(dataclasses.replace(how, overwrite=True), [str(folder)], str(tmp_path / "out"))
    assert counts(summary) == (0, 3, 0, 3)
    reasons = {name: row["reason"] for name, row in rows(tmp_path / "out").items() if row["done"] == "set aside"}
    assert reasons["d/a.jpg"] == "a.png: Is a directory (unwritable)"
    assert str(reasons[f"d/{long.name}"]).endswith("File name too long (unwritable)")


def test_archives_are_listed_once(
    folder: Path, how: Restoring, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards, restored by two commands: each has a folder of its own that goes with it."""
    caplog.set_level("INFO", "ced")
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(2):
        shutil.make_archive(str(shards / f"{number}"), "gztar", folder)
    for there in (0, 8):
        monkeypatch.setattr("ced.data.sources.archives._temporary", partial(Path, tmp_path, f"own-{there}"))
        assert counts(many(how, [str(shards)], str(tmp_path / "out"))) == (there, 8 - there, 0, 2)
    assert sum("listing its members" in message for message in caplog.messages) == 2
    assert len(rows(tmp_path / "out")) == 10


def test_two_runs_into_one_folder(folder: Path, how: Restoring, tmp_path: Path) -> None:
    from ced.store.outputs import locked

    with locked(tmp_path / "out" / "restored.parquet"), pytest.raises(OutputError, match="by another run"):
        many(how, [str(folder)], str(tmp_path / "out"))
    many(how, [str(folder / "below")], str(tmp_path / "out"))
    assert counts(many(how, [str(folder)], str(tmp_path / "out"))) == (0, 4, 0, 1), "beside what was there"
    assert len(rows(tmp_path / "out")) == 6


def test_what_is_left_is_named_up_to_twenty() -> None:
    summary = Summary(30, "out", restored=5)
    for number in range(25):
        summary.add(f"d/{number}.jpg", "quality factor 95", "")
    lines = summary.lines()
    assert lines[:3] == ["restored 5 of 30 images to out", "25 left as they are:", "  d/0.jpg: quality factor 95"]
    assert len(lines) == 23 and lines[-1] == "  and 5 more; restored.parquet names them"
