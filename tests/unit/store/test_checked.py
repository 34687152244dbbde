"""Whatever a manifest names is found altered when it is first read, and made again where it is gone."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ced.data import edges, label
from ced.errors import FormatError
from ced.pipeline import restorers
from ced.store import checked, finished
from ced.store import outputs as storage
from ced.store.outputs import Making, Output, Store
from ced.training import data


def flip(path: Path, place: int | None = None) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 1
    path.write_bytes(content)


def of(stage: str, folder: Path) -> Output:
    return next(output for output in finished.find([folder]) if output.manifest.stage == stage)


def made(store: Path, contents: dict[str, str], stage: str = "evaluate") -> Output:
    def produce(making: Making) -> None:
        produced.append(making)
        for name, text in contents.items():
            storage.write_text(making.folder / name, text)

    produced: list[Making] = []
    output = storage.make(Store(store), stage, {}, {}, produce)
    assert output.reused == (not produced)
    return output


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "edges": ("prepare/examples", lambda root: list(edges.target_planes(root / "prepare/examples/part-00000.parquet"))),
    "label": ("prepare/examples", lambda root: label_one(root)),
    "train, examples": ("prepare/examples", lambda root: trained_on(root)),
    "train, labels": ("label", lambda root: trained_on(root)),
}


def label_one(root: Path) -> None:
    label.label_part(
        edges.load(of("edges", root)), str(root / "again"), {"part": str(root / "prepare/examples/part-00000.parquet")}
    )


def trained_on(root: Path) -> None:
    found = data.find(str(root / "prepare/examples"), str(root / "label"), ("input", "target", "labels"), 1)
    found.read(data.split(found.sources, 0.3).training)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", ["page", "footer"])
def test_an_altered_part_is_found_by_whoever_reads_it(outputs: Path, reader: str, place: str) -> None:
    folder, read = READERS[reader]
    path = outputs / folder / "part-00000.parquet"
    read(outputs)
    size = path.stat().st_size
    footer = int.from_bytes(path.read_bytes()[-8:-4], "little")
    flip(path, size // 2 if place == "page" else size - 8 - footer // 2)
    with pytest.raises(FormatError, match=f"{path}: (altered since it was made; delete it|cannot be read as Parquet)"):
        read(outputs)


def test_parts_are_those_that_the_manifest_names(outputs: Path) -> None:
    folder = outputs / "prepare" / "examples"
    assert [path.name for path in checked.parts(folder)] == ["part-00000.parquet", "part-00001.parquet"]
    (folder / "part-00002.parquet").write_bytes((folder / "part-00001.parquet").read_bytes())
    with pytest.raises(
        FormatError, match="part-00002.parquet: not one of the parts that .*manifest.json names; delete it"
    ):
        data.find(str(folder), str(outputs / "label"), ("input",), 1)
    (folder / "part-00002.parquet").unlink()
    (folder / "part-00000.parquet").unlink()
    with pytest.raises(FormatError, match="part-00000.parquet: missing; run the command again that made it"):
        checked.parts(folder)
    assert checked.parts(outputs / "none") == []


def test_edges_that_were_altered_are_not_used(outputs: Path) -> None:
    flip(outputs / "edges" / "classes.json")
    for read in (lambda: edges.load(of("edges", outputs)), lambda: restorers.finished(outputs / "edges")):
        with pytest.raises(FormatError, match="classes.json: altered since it was made; delete it"):
            read()


def test_what_is_reused_is_looked_at_first(tmp_path: Path) -> None:
    output = made(tmp_path, {"results.json": "30.1", "figures/1.svg": "<svg/>"})
    assert made(tmp_path, {}).reused
    flip(output.path / "results.json")
    cure = f"altered since it was made; remove {output.path} and run the command again that made it"
    with pytest.raises(FormatError, match=f"{output.path / 'results.json'}: {cure}"):
        made(tmp_path, {})


def test_what_is_gone_is_made_again_as_a_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contents = {"pooled.parquet": "pooled", "per_image.parquet": "rows"}
    output = made(tmp_path, contents)
    (output.path / "pooled.parquet").unlink()
    with caplog.at_level(logging.WARNING, "ced"):
        again = made(tmp_path, contents)
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warnings == [f"evaluate: {output.path / 'pooled.parquet'} is missing and made again"]
    assert not again.reused and again.manifest.parts == output.manifest.parts
    assert made(tmp_path, {}).reused


def test_parts_that_stay_are_looked_at_before_they_are_stated_again(tmp_path: Path) -> None:
    output = made(tmp_path, {"part-00000.parquet": "a", "part-00001.parquet": "b"}, "label")
    (output.path / "part-00000.parquet").unlink()
    flip(output.path / "part-00001.parquet")
    with pytest.raises(FormatError, match="part-00001.parquet: altered since it was made; delete it"):
        made(tmp_path, {"part-00000.parquet": "a"}, "label")
    (output.path / "part-00001.parquet").unlink()
    again = made(tmp_path, {"part-00000.parquet": "a", "part-00001.parquet": "b"}, "label")
    assert again.manifest.parts == output.manifest.parts


def test_a_quarantine_goes_with_its_examples(tmp_path: Path) -> None:
    contents = {f"{kind}/part-0000{n}.parquet": kind for n in (0, 1) for kind in ("examples", "quarantine")}
    output = made(tmp_path, contents, "prepare")
    (output.path / "quarantine" / "part-00001.parquet").unlink()

    def produce(making: Making) -> None:
        there.extend(sorted(path.name for path in making.folder.rglob("part-*")))
        for name, text in contents.items():
            storage.write_text(making.folder / name, text)

    there: list[str] = []
    storage.make(Store(tmp_path), "prepare", {}, {}, produce)
    assert there == ["part-00000.parquet", "part-00000.parquet"]


def test_a_manifest_that_was_altered_is_named(outputs: Path) -> None:
    path = outputs / "prepare" / "manifest.json"
    path.write_text(path.read_text().replace('"examples": 12', '"examples": 13'))
    with pytest.raises(FormatError, match=f"{path}: altered since it was written; remove"):
        finished.find([outputs])


def test_a_manifest_of_before_there_were_digests_is_taken(outputs: Path) -> None:
    path = outputs / "edges" / "manifest.json"
    stored = json.loads(path.read_text())
    del stored["digest"]
    path.write_text(json.dumps(stored))
    assert len(edges.load(of("edges", outputs)).edges) == 16


def test_a_folder_without_a_manifest_is_taken_as_it_is(outputs: Path, tmp_path: Path) -> None:
    (outputs / "label" / "manifest.json").unlink()
    table = pq.read_table(outputs / "label" / "part-00000.parquet")
    pq.write_table(table, outputs / "label" / "part-00000.parquet")
    assert checked.part(outputs / "label" / "part-00000.parquet").exists()
