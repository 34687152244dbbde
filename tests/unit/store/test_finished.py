"""Outputs are found at any depth; folders without one are one clear line."""

import logging
from pathlib import Path

import pytest

from ced.errors import FormatError, InputError
from ced.store import finished


def test_outputs_are_found_at_any_depth_in_the_order_of_the_stages(outputs: Path) -> None:
    for folder in (outputs / "label", outputs.parent, outputs):
        assert [one.manifest.stage for one in finished.find([folder])] == (
            ["label"] if folder.name == "label" else ["prepare", "edges", "label"]
        )


def test_hidden_folders_are_not_looked_into(outputs: Path) -> None:
    (outputs / "label").rename(outputs / ".label")
    assert [one.manifest.stage for one in finished.find([outputs])] == ["prepare", "edges"]


@pytest.mark.parametrize(
    ("make", "clause"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.write_text("x"), "no such folder"),
        (lambda path: path.mkdir(), "no finished output in it"),
        (lambda path: (path / "examples").mkdir(parents=True), "no finished output in it"),
    ],
)
def test_a_folder_without_an_output(tmp_path: Path, make, clause: str) -> None:
    make(tmp_path / "folder")
    with pytest.raises(InputError, match=f"{tmp_path / 'folder'}: {clause}"):
        finished.find([tmp_path / "folder"])


def test_an_unfinished_output_is_none_and_beside_others_it_is_left_out(
    outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (outputs / "label" / "manifest.json").unlink()
    assert (outputs / "label" / ".unfinished").exists()
    with pytest.raises(InputError, match="label: no finished output in it"):
        finished.find([outputs / "label"])
    caplog.clear()
    with caplog.at_level(logging.WARNING, "ced"):
        assert [one.manifest.stage for one in finished.find([outputs])] == ["prepare", "edges"]
    (message,) = caplog.messages
    assert message.startswith(f"{outputs / 'label'}: unfinished, left out")


def test_one_bad_folder_among_good_ones_is_told(outputs: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        finished.find([outputs, outputs / "nowhere"])


def test_a_manifest_that_was_cut(outputs: Path) -> None:
    path = outputs / "edges" / "manifest.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FormatError, match=f"{path}: not JSON; remove {path.parent} to have it made again"):
        finished.find([outputs])


@pytest.mark.parametrize(
    "change",
    [
        {"parts": ["part-00000.parquet"]},
        {"parts": {"part-00000.parquet": 7}},
        {"counts": {"examples": "12"}},
        {"counts": {"examples": 1.5}},
        {"counts": None},
        {"inputs": {"examples": None}},
        {"stage": 3},
        {"config": []},
    ],
)
def test_a_manifest_with_fields_of_the_wrong_type(outputs: Path, edit, change: dict) -> None:
    edit(outputs / "label", lambda stored: stored.update(change))
    with pytest.raises(FormatError, match="fields of the wrong type; remove"):
        finished.find([outputs])
