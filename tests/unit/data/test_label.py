"""One part of labels, and the examples that it belongs to."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ced import schema
from ced.core.frequency import coefficients
from ced.core.images import luminance
from ced.data import edges, label
from ced.errors import InputError
from ced.store import finished
from ced.store.finished import Output


def output(folder: Path) -> Output:
    (found,) = finished.find([folder])
    return found


@pytest.mark.parametrize("kind", ["pristine", "coloured"])
@pytest.mark.parametrize("name", ["part-00000.parquet", "part-00001.parquet"])
def test_the_labels_of_a_part(kind: str, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Against the obvious: how many edges lie below each coefficient, one plane and channel at a time."""
    root: Path = request.getfixturevalue(kind)
    classes = edges.load(output(root / "edges"))
    told = label.label_part(classes, str(tmp_path), {"part": str(root / "prepare" / "examples" / name)})()
    assert told == {"name": name, "digest": hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}
    table = pq.read_table(tmp_path / name)
    assert table.schema.equals(schema.LABELS, check_metadata=True)
    examples = pq.read_table(root / "prepare" / "examples" / name).to_pylist()
    for example, row in zip(examples, table.to_pylist(), strict=True):
        assert all(example[key] == row[key] for key in table.column_names[:-1])
        planes = np.frombuffer(example["target"], np.uint8).reshape(-1, 32, 32)
        luma = planes[0] if len(planes) == 1 else luminance(planes.transpose(1, 2, 0))
        q = coefficients(luma)
        expected = [np.searchsorted(classes.edges[c], q[c], side="left") for c in range(16)]
        assert np.array_equal(np.frombuffer(row["labels"], np.uint8).reshape(16, 8, 8), expected)


def test_a_part_without_examples_has_no_labels(pristine: Path, tmp_path: Path) -> None:
    empty = tmp_path / "part-00003.parquet"
    pq.write_table(schema.EXAMPLES.empty_table(), empty)
    label.label_part(edges.load(output(pristine / "edges")), str(tmp_path / "out"), {"part": str(empty)})()
    table = pq.read_table(tmp_path / "out" / empty.name)
    assert table.num_rows == 0
    assert table.schema.equals(schema.LABELS)


def test_examples_beside_labels_are_found_by_their_content(pristine: Path, outputs: Path, tmp_path: Path) -> None:
    assert label.examples_of(output(pristine / "label")) == pristine / "prepare" / "examples"
    store = tmp_path / "store"  # as a store has them, among others
    for stage, name in (("prepare", "aaaa"), ("prepare", "bbbb"), ("label", "cccc")):
        shutil.copytree(outputs / stage, store / stage / name)
    (store / "prepare" / "unfinished").mkdir()
    manifest = store / "prepare" / "aaaa" / "manifest.json"
    digest = output(store / "prepare" / "aaaa").manifest.parts["examples/part-00000.parquet"]
    stored = json.loads(manifest.read_text().replace(digest, "0" * 64))
    del stored["digest"]
    manifest.write_text(json.dumps(stored))
    assert label.examples_of(output(store / "label")) == store / "prepare" / "bbbb" / "examples"


def test_labels_without_their_examples_are_refused(outputs: Path) -> None:
    shutil.rmtree(outputs / "prepare")
    with pytest.raises(InputError, match=r"label: the examples that it labels \(prepare, content \w+\) are not beside"):
        label.examples_of(output(outputs / "label"))
