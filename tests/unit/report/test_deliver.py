"""A report is copied whole; what it replaces is an earlier report, and never something else."""

import json
from pathlib import Path

import pytest

from ced.errors import OutputError
from ced.report.deliver import check, deliver
from ced.store.outputs import Manifest, Output

RESULTS = json.dumps({"versions": {}, "config": {}, "rows": []})


def report(root: Path, *names: str) -> Output:
    """A finished report with these files and results.json."""
    parts = {"results.json": RESULTS} | {name: f"{root.name} {name}" for name in names}
    for name, text in parts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Output(root, Manifest("report", "f", {}, {}, {}, parts), reused=True)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_copied_whole(tmp_path: Path) -> None:
    reported = report(tmp_path / "made", "report.html", "strips/00.png")
    check(str(tmp_path / "new" / "copy"))
    deliver(reported, tmp_path / "new" / "copy")
    assert files(tmp_path / "new" / "copy") == set(reported.manifest.parts)
    assert (tmp_path / "new" / "copy" / "strips" / "00.png").read_text() == "made strips/00.png"


def test_nowhere_is_fine() -> None:
    check(None)


def test_an_earlier_report_is_replaced_and_what_it_alone_had_is_removed(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    deliver(report(tmp_path / "one", "report.html", "figures/figure-4.svg", "strips/00.png", "strips/01.png"), copy)
    for name in ("notes.txt", "table.xlsx", "figures/mine.png", "figures/figure-4.pdf", "strips/readme"):
        (copy / name).write_text("kept")
    check(str(copy))
    deliver(report(tmp_path / "two", "report.html", "strips/00.png", "table.md"), copy)
    kept = {"notes.txt", "table.xlsx", "figures/mine.png", "figures/figure-4.pdf", "strips/readme"}
    assert files(copy) == kept | {"results.json", "report.html", "strips/00.png", "table.md"}
    assert (copy / "report.html").read_text() == "two report.html"
    assert all((copy / name).read_text() == "kept" for name in kept)


def test_a_copy_that_was_cut_off_is_taken_up_again(tmp_path: Path) -> None:
    """results.json is there first, so that the rest is known as a report's."""
    reported = report(tmp_path / "made", "figures/figure-1.png", "report.html")
    (reported.path / "report.html").unlink()
    with pytest.raises(OSError, match="report.html"):
        deliver(reported, tmp_path / "copy")
    assert files(tmp_path / "copy") == {"results.json", "figures/figure-1.png"}
    (reported.path / "report.html").write_text("found")
    check(str(tmp_path / "copy"))
    deliver(reported, tmp_path / "copy")
    assert files(tmp_path / "copy") == set(reported.manifest.parts)


@pytest.mark.parametrize("name", ["table.md", "report.html", "figures/figure-1.png", "pictures/00000-y-q010-jpeg.png"])
@pytest.mark.parametrize("results", [None, "[]", "no JSON", '{"rows": []}'])
def test_what_is_not_a_reports_is_left_as_it_is(tmp_path: Path, name: str, results: str | None) -> None:
    thesis = tmp_path / "thesis"
    (thesis / name).parent.mkdir(parents=True)
    (thesis / name).write_text("precious")
    if results is not None:
        (thesis / "results.json").write_text(results)
    before = files(thesis)
    with pytest.raises(OutputError, match="thesis holds something else already .*; choose another folder"):
        check(str(thesis))
    with pytest.raises(OutputError, match="thesis holds something else already"):
        deliver(report(tmp_path / "made", name), thesis)
    assert files(thesis) == before and (thesis / name).read_text() == "precious"


def test_beside_files_of_other_names_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "copy" / "figures").mkdir(parents=True)
    for name in ("paper.tex", "figures/overview.png", "tables.md"):
        (tmp_path / "copy" / name).write_text("kept")
    check(str(tmp_path / "copy"))
    deliver(report(tmp_path / "made", "figures/figure-1.png"), tmp_path / "copy")
    assert (tmp_path / "copy" / "figures" / "overview.png").read_text() == "kept"


def test_a_place_that_cannot_be_looked_at_is_no_traceback(tmp_path: Path) -> None:
    name = "x" * 300  # longer than names are; without permission it is the same error
    check(str(tmp_path / name))
    with pytest.raises(OutputError, match="cannot be written"):
        deliver(report(tmp_path / "made"), tmp_path / name)


def test_what_is_no_folder_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below", "file/a/b"):
        with pytest.raises(OutputError, match="file is no folder; choose another one"):
            check(str(tmp_path / name))
