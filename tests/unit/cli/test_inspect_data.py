"""`ced data`: a line each, the cure last, and nothing written where it does not belong."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ced.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    """The exit code, and the lines of both streams."""
    code = main(["data", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err.splitlines()


def test_whole_outputs_are_a_line_each(pristine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, errors = run(capsys, "verify", pristine)
    assert (code, errors) == (0, [])
    assert [line.split()[0] for line in lines] == ["prepare", "edges", "label"]
    assert lines[0].split(": ")[1].startswith("4 photographs, 3 parts, ")
    assert lines[1].split(": ")[1].startswith("12,288 coefficients, 1 part, ")
    assert all(line.endswith("B, verified") for line in lines)


def test_findings_follow_their_output_and_the_cure_comes_last(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "label" / "part-00000.parquet").unlink()
    (outputs / "label" / "note.txt").write_text("")
    (outputs / "edges" / "classes.json").write_text("")
    code, lines, (error,) = run(capsys, "verify", outputs)
    assert code == 2
    assert [line for line in lines if line.startswith(" ")] == [
        "  classes.json: altered",
        "  part-00000.parquet: missing",
        "  note.txt: extra",
    ]
    assert lines[0].endswith(", verified")
    assert lines[1].endswith(f", 1 finding in {outputs / 'edges'}")
    assert lines[3].endswith(f", 2 findings in {outputs / 'label'}")
    assert error == (
        "ced: error: 2 of 3 outputs damaged: "
        f"delete the parts named above and {outputs / 'edges' / 'manifest.json'}; "
        f"delete the parts named above and {outputs / 'label' / 'manifest.json'}; "
        "then run the same command again: only what is missing is made again"
    )


def test_extra_files_alone_need_no_second_run(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outputs / "label" / "note.txt").write_text("")
    code, _, (error,) = run(capsys, "verify", outputs)
    assert code == 2
    assert error == f"ced: error: 1 of 3 outputs damaged: delete the files named above in {outputs / 'label'}"


def test_several_folders(outputs: Path, pristine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = run(capsys, "verify", outputs / "label", pristine)
    assert code == 0
    assert [line.split()[0] for line in lines] == ["prepare", "edges", "label", "label"]


@pytest.mark.parametrize("command", ["verify", "show"])
def test_a_folder_without_an_output_is_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, errors = run(capsys, command, tmp_path)
    assert (code, lines) == (2, [])
    assert errors == [
        f"ced: error: {tmp_path}: no finished output in it; "
        "give a store or an output's folder, or run the command that makes it"
    ]


def test_a_cut_manifest_is_one_line(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outputs / "label" / "manifest.json").write_text("{")
    for command in ("verify", "show"):
        code, _, (error,) = run(capsys, command, outputs)
        assert code == 2
        assert error.endswith(f"not JSON; remove {outputs / 'label'} to have it made again")


def test_show_prints_and_draws(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, lines, errors = run(capsys, "show", pristine, "--examples", 3)
    assert (code, errors) == (0, [])
    assert lines[0] == "stage          prepare"
    assert lines[-1] == f"contact sheet: {tmp_path / 'contact-sheet.png'}"
    with Image.open(tmp_path / "contact-sheet.png") as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
    assert [path.name for path in tmp_path.iterdir()] == ["contact-sheet.png"]


def test_a_sheet_is_written_over_a_former_one_and_into_a_new_folder(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "sheet.png"
    assert run(capsys, "show", pristine, "-o", out)[0] == 0
    first = out.read_bytes()
    assert run(capsys, "show", pristine, "-o", out, "--examples", 1)[0] == 0
    assert 0 < len(out.read_bytes()) < len(first)


def test_edges_alone_are_shown_without_a_sheet(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, _ = run(capsys, "show", pristine / "edges", "-o", tmp_path / "sheet.png")
    assert (code, lines[-1]) == (0, "no examples in it, and so no contact sheet")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("out", "clause"),
    [
        ("folder.png", "is a folder; name a PNG file such as"),
        ("sheet.jpg", "a contact sheet is a PNG file; name it"),
        ("out/label/sheet.png", "lies inside an output"),
        ("file/sheet.png", "cannot be written"),
    ],
)
def test_where_a_sheet_cannot_be(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, clause: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    code, _, (error,) = run(capsys, "show", outputs, "-o", tmp_path / out)
    assert code == 2
    assert clause in error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "clause"),
    [
        (["show", ".", "--examples", "0"], "--examples 0: use 1 to 256"),
        (["show", ".", "--examples", "257"], "use 1 to 256"),
        (["verfy", "."], "did you mean 'verify'"),
        ([], "required"),
        (["verify"], "required: DIR"),
    ],
)
def test_mistakes_in_arguments(arguments: list[str], clause: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["data", *arguments])
    except SystemExit as stop:  # argparse's own
        code = 2 if stop.code == 2 else 1
    assert code == 2
    assert clause in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", [[], ["verify"], ["show"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", *command, "--help"])
    assert stop.value.code == 0
    assert " ".join(["ced data", *command]) in capsys.readouterr().out


def test_nothing_here_needs_ray_or_torch(pristine: Path, tmp_path: Path) -> None:
    script = """
import sys
from ced.cli.main import main
assert main(["data", "verify", sys.argv[1]]) == main(["data", "show", sys.argv[1], "-o", sys.argv[2]]) == 0
print([name for name in ("torch", "ray", "prefect", "mlflow") if name in sys.modules])
"""
    arguments = [sys.executable, "-c", script, str(pristine), str(tmp_path / "sheet.png")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_broken_database_of_the_store_is_named(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = outputs / "prefect" / "prefect.db"
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE flow (name)")
        database.commit()
    code, lines, _ = run(capsys, "verify", outputs)
    assert (code, lines[-1]) == (0, f"{file}: verified")
    file.write_bytes(b"words" * 1000)
    code, lines, (error,) = run(capsys, "verify", outputs)
    assert code == 2 and "file is not a database" in lines[-1]
    assert error == f"ced: error: {file} is damaged; move it away, and the same command makes another one"
