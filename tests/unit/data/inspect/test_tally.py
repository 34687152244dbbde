"""Counts add up inside an output and between outputs, or it is said which do not."""

import shutil
from pathlib import Path

import pytest

from ced.data.inspect import verify
from ced.store import finished


def counts_found(folder: Path) -> dict[str, list[str]]:
    checked = verify.verify(finished.find([folder]))
    return {one.output.manifest.stage: [f.what for f in one.findings if f.name == "counts"] for one in checked}


@pytest.mark.parametrize(
    ("stage", "name", "stated", "found"),
    [
        ("prepare", "photographs", 5, ["5 photographs, but 3 prepared and 1 quarantined"]),
        ("prepare", "prepared", 4, ["4 photographs, but 4 prepared and 1 quarantined"]),
        ("prepare", "quarantined: not an image", 2, ["1 quarantined, but the reasons add up to 2"]),
        ("prepare", "quarantined: empty", 1, ["1 quarantined, but the reasons add up to 2"]),
        ("edges", "coefficients", 12_287, ["12,287 coefficients, but those of classes.json are 12,288"]),
        ("edges", "classes", 8, ["8 classes, but those of classes.json are 7"]),
        ("edges", "channels", 1, ["1 channels, but those of classes.json are 16"]),
    ],
)
def test_a_changed_count_is_found(outputs: Path, edit, stage: str, name: str, stated: int, found: list[str]) -> None:
    edit(outputs / stage, lambda manifest: manifest["counts"].update({name: stated}))
    assert counts_found(outputs) == {"prepare": [], "edges": [], "label": [], stage: found}


def test_photographs_and_reasons_that_agree_are_still_held_against_the_rows(outputs: Path, edit) -> None:
    changed = {"photographs": 5, "quarantined": 2, "quarantined: not an image": 2}
    edit(outputs / "prepare", lambda manifest: manifest["counts"].update(changed))
    assert counts_found(outputs)["prepare"] == ["2 quarantined, but the rows of the quarantine are 1"]


def test_examples_are_counted_in_the_parts_and_compared_with_prepare(outputs: Path, edit) -> None:
    edit(outputs / "label", lambda manifest: manifest["counts"].update(examples=13))
    fingerprint = finished.find([outputs / "prepare"])[0].manifest.fingerprint
    assert counts_found(outputs)["label"] == [
        "13 examples, but the rows are 12",
        f"13 examples, but prepare {fingerprint} states 12",
    ]
    shutil.rmtree(outputs / "prepare")
    assert counts_found(outputs)["label"] == ["13 examples, but the rows are 12"]


def test_counts_that_are_not_stated_are_zero(outputs: Path, edit) -> None:
    edit(outputs / "label", lambda manifest: manifest["counts"].clear())
    assert counts_found(outputs)["label"][0] == "0 examples, but the rows are 12"


def test_labels_of_other_examples_side_by_side_are_found(outputs: Path, edit) -> None:
    edit(outputs / "label", lambda manifest: manifest["inputs"].update(examples="0" * 16))
    assert counts_found(outputs)["label"] == [f"made from other examples than those of {outputs / 'prepare'}"]


def test_in_a_store_the_examples_may_be_gone_and_others_be_there(outputs: Path, edit) -> None:
    edit(outputs / "label", lambda manifest: manifest["inputs"].update(examples="0" * 16))
    for stage in ("prepare", "label"):
        (outputs / stage).rename(outputs / "fingerprint")
        (outputs / stage).mkdir()
        (outputs / "fingerprint").rename(outputs / stage / "fingerprint")
    assert counts_found(outputs)["label"] == []


def test_a_table_of_classes_that_is_none_is_named(outputs: Path, edit) -> None:
    from ced.store import outputs as storage

    (outputs / "edges" / "classes.json").write_text("{}")
    digest = storage.sha256(outputs / "edges" / "classes.json")
    edit(outputs / "edges", lambda manifest: manifest["parts"].update({"classes.json": digest}))
    (what,) = counts_found(outputs)["edges"]
    assert "classes.json: not a class table" in what
