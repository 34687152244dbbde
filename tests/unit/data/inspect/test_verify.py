"""Every part that is not what its manifest says is found, named, and told how to be made again."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.data.inspect import verify
from ced.store import finished
from ced.store import outputs as storage
from ced.store.outputs import Making, Store, make


def check(folder: Path) -> dict[str, verify.Checked]:
    return {one.output.manifest.stage: one for one in verify.verify(finished.find([folder]))}


def findings(folder: Path) -> dict[str, list[str]]:
    """What is found, by the stages where anything is."""
    return {stage: [str(f) for f in one.findings] for stage, one in check(folder).items() if one.findings}


def flip(path: Path, at: int, bits: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)[0]
        file.seek(at)
        file.write(bytes([old ^ bits]))


def test_whole_outputs_have_no_findings(pristine: Path) -> None:
    checked = check(pristine)
    assert list(checked) == ["prepare", "edges", "label"]
    assert findings(pristine) == {}
    for stage, one in checked.items():
        files = [path for path in (pristine / stage).rglob("*.*") if path.suffix in (".parquet", ".json")]
        assert one.size == sum(path.stat().st_size for path in files if path.name != "manifest.json")


@given(choice=st.data())
def test_any_single_altered_byte_is_found(pristine: Path, choice: st.DataObject) -> None:
    stage = choice.draw(st.sampled_from(["prepare", "edges", "label"]))
    manifest = storage.read_manifest(pristine / stage)
    assert manifest is not None
    name = choice.draw(st.sampled_from(sorted(manifest.parts)))
    path = pristine / stage / name
    at, bits = choice.draw(st.integers(0, path.stat().st_size - 1)), choice.draw(st.integers(1, 255))
    flip(path, at, bits)
    try:
        found = findings(pristine)
    finally:
        flip(path, at, bits)
    assert list(found) == [stage]
    (line,) = found[stage]
    assert line.startswith(f"{name}: altered")


def test_missing_extra_and_cut_parts_are_named(outputs: Path) -> None:
    (outputs / "prepare" / "examples" / "part-00001.parquet").unlink()
    (outputs / "label" / "part-00007.parquet").write_bytes(b"")
    cut = outputs / "edges" / "classes.json"
    cut.write_bytes(cut.read_bytes()[:-1])
    assert findings(outputs) == {
        "prepare": ["examples/part-00001.parquet: missing"],
        "edges": ["classes.json: altered"],
        "label": ["part-00007.parquet: extra"],
    }


def test_two_parts_that_changed_places_are_both_altered(outputs: Path) -> None:
    one, two = (outputs / "label" / f"part-0000{n}.parquet" for n in (0, 1))
    one.rename(outputs / "between")
    two.rename(one)
    (outputs / "between").rename(two)
    assert findings(outputs) == {"label": ["part-00000.parquet: altered", "part-00001.parquet: altered"]}


@pytest.mark.parametrize("name", [".lock", ".scratch/part-00000.parquet", "examples/.part.17.tmp"])
def test_hidden_files_are_scratch(outputs: Path, name: str) -> None:
    storage.write_bytes(outputs / "prepare" / name, b"x")
    assert findings(outputs) == {}


def test_a_link_to_nowhere_and_a_file_in_a_folder_are_extra(outputs: Path) -> None:
    (outputs / "label" / "link").symlink_to(outputs / "nowhere")
    storage.write_bytes(outputs / "label" / "more" / "manifest.json", b"{}")
    assert findings(outputs) == {"label": ["link: extra", "more/manifest.json: extra"]}


def test_a_part_that_is_a_link_to_nowhere_cannot_be_read(outputs: Path) -> None:
    part = outputs / "label" / "part-00000.parquet"
    part.unlink()
    part.symlink_to(outputs / "nowhere")
    assert findings(outputs) == {"label": ["part-00000.parquet: cannot be read"]}


def test_a_quarantine_part_names_the_examples_it_is_made_with(outputs: Path) -> None:
    flip(outputs / "prepare" / "quarantine" / "part-00000.parquet", 5, 1)
    (line,) = findings(outputs)["prepare"]
    assert "quarantine/part-00000.parquet: altered" in line
    assert "delete examples/part-00000.parquet as well" in line


def restate(folder: Path, name: str, edit) -> None:
    """The part as it is now becomes what the manifest states."""
    digest = storage.sha256(folder / name)
    edit(folder, lambda stored: stored["parts"].update({name: digest}))


@pytest.mark.parametrize(
    ("metadata", "what"), [({"ced.schema": "0"}, "schema version 0,"), (None, "schema version unknown,")]
)
def test_a_part_of_another_schema_is_named(outputs: Path, edit, metadata: dict | None, what: str) -> None:
    part = outputs / "label" / "part-00001.parquet"
    pq.write_table(pq.read_table(part).replace_schema_metadata(metadata), part)
    restate(part.parent, part.name, edit)
    checked = check(outputs)["label"]
    assert [str(f) for f in checked.findings] == [f"part-00001.parquet: {what} this ced reads 1"]
    assert verify.cure([checked]).startswith(f"remove {outputs / 'label'}; then run the same command again")


def test_a_part_that_never_was_parquet_is_named(outputs: Path, edit) -> None:
    (outputs / "label" / "part-00001.parquet").write_bytes(b"words")
    restate(outputs / "label", "part-00001.parquet", edit)
    assert "part-00001.parquet: not Parquet" in findings(outputs)["label"]


def test_cures_are_the_mildest_that_help(outputs: Path) -> None:
    folder = outputs / "label"
    (folder / "more").write_text("")
    assert verify.cure([check(outputs)["label"]]) == f"delete the files named above in {folder}"
    (folder / "part-00000.parquet").unlink()
    clause = f"delete the parts named above and {folder / 'manifest.json'}; then run the same command again"
    assert verify.cure([check(outputs)["label"]]).startswith(clause)


def test_other_stages_are_made_again_as_a_whole(tmp_path: Path) -> None:
    def produce(making: Making) -> None:
        storage.write_text(making.folder / "model.safetensors", "weights")

    output = make(Store(tmp_path), "train-ed", {}, {}, produce)
    assert findings(tmp_path) == {}
    (output.path / "model.safetensors").write_text("Weights")
    checked = check(tmp_path)["train-ed"]
    assert [str(f) for f in checked.findings] == ["model.safetensors: altered"]
    assert verify.cure([checked]).startswith(f"remove {output.path}; ")


def test_a_folder_given_twice_is_looked_at_once(outputs: Path) -> None:
    shutil.rmtree(outputs / "edges")
    found = finished.find([outputs, outputs / "label", outputs / "prepare" / ".." / "label"])
    assert [one.manifest.stage for one in found] == ["prepare", "label"]


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
    (outputs / "edges" / "classes.json").write_text("{}")
    digest = storage.sha256(outputs / "edges" / "classes.json")
    edit(outputs / "edges", lambda manifest: manifest["parts"].update({"classes.json": digest}))
    (what,) = counts_found(outputs)["edges"]
    assert "classes.json: not a class table" in what


def test_files_that_an_output_put_elsewhere_in_the_store_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "mlartifacts").mkdir()
    for name in ("kept", "model", "gone"):
        (tmp_path / "mlartifacts" / name).write_text(name)

    def produce(making: Making) -> None:
        digests = {f"mlartifacts/{path.name}": storage.sha256(path) for path in (tmp_path / "mlartifacts").iterdir()}
        storage.write_text(making.folder / storage.ELSEWHERE, json.dumps(digests))

    output = make(Store(tmp_path), "publish", {}, {}, produce)
    assert findings(tmp_path) == {}
    (tmp_path / "mlartifacts" / "model").write_text("mode1")
    (tmp_path / "mlartifacts" / "gone").unlink()
    checked = check(tmp_path)["publish"]
    assert sorted(map(str, checked.findings)) == ["mlartifacts/gone: missing", "mlartifacts/model: altered"]
    assert verify.cure([checked]).startswith(f"remove {output.path}; then run the same command again")
