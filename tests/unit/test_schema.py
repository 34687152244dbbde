"""Parquet schemas: planes as binary, versioned, and stable once published."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ced import schema
from ced.evaluation.metrics import per_image_schema, pooled_schema


def test_planes_are_binary_columns() -> None:
    assert {schema.EXAMPLES.field(name).type for name in ("target", "input", "jpeg")} == {pa.binary()}
    assert schema.LABELS.field("labels").type == pa.binary()


def test_examples_and_labels_share_their_key() -> None:
    assert all(schema.LABELS.field(name) == schema.EXAMPLES.field(name) for name in schema.LABELS.names[:-1])
    assert schema.LABELS.names == ["image_id", "flip", "height", "width", "labels"]
    assert schema.EXAMPLES.names[:6] == ["image_id", "source", "flip", "quality", "height", "width"]


def test_every_schema_states_its_version() -> None:
    for one in (schema.EXAMPLES, schema.LABELS, schema.QUARANTINE, per_image_schema(), pooled_schema()):
        assert one.metadata == {b"ced.schema": schema.VERSION.encode()}
        figures = [field.name for field in one if field.nullable]
        assert all(one.field(name).type == pa.float64() for name in figures)
        assert bool(figures) == (one in (per_image_schema(), pooled_schema())), "only a figure can be missing"


PYARROW_ALONE = """
import importlib.util, io, json, sys
sys.path += json.loads(sys.argv[1])
assert importlib.util.find_spec("ced") is None
import pyarrow.parquet as pq
from PIL import Image
for part in sys.argv[3:]:
    examples, labels = (pq.read_table(f"{sys.argv[2]}/{folder}/{part}") for folder in ("prepare/examples", "label"))
    assert examples.schema.metadata == labels.schema.metadata == {b"ced.schema": b"1"}
    table = examples.join(labels, ["image_id", "flip", "height", "width"])
    for row in table.to_pylist():
        pixels = row["height"] * row["width"]
        assert len(row["target"]) == len(row["input"]) == pixels
        assert row["labels"] is not None and len(row["labels"]) == pixels and max(row["labels"]) < 7
        assert Image.open(io.BytesIO(row["jpeg"])).tobytes() == row["input"]
    print(table.num_rows)
"""


def test_plain_pyarrow_reads_the_parts_where_ced_is_not_installed(pristine: Path, tmp_path: Path) -> None:
    """Without `site` no .pth file is read, so that an editable install of ced is not there either."""
    packages = json.dumps([str(Path(pa.__file__).parents[1])])
    command = [sys.executable, "-I", "-S", "-c", PYARROW_ALONE, packages, str(pristine)]
    command += [path.name for path in sorted((pristine / "label").glob("*.parquet"))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout.split(), done.stderr) == (["4", "8"], "")


def test_a_part_of_labels_belongs_to_the_part_of_examples_row_by_row(pristine: Path) -> None:
    parts = sorted((pristine / "label").glob("*.parquet"))
    assert [path.name for path in parts] == [path.name for path in sorted((pristine / "prepare/examples").iterdir())]
    for path in parts:
        examples, labels = pq.read_table(pristine / "prepare/examples" / path.name), pq.read_table(path)
        assert labels.schema.equals(schema.LABELS, check_metadata=True)
        key = labels.column_names[:-1]
        assert labels.select(key).equals(examples.select(key))


def test_duckdb_joins_the_parts(pristine: Path) -> None:
    query = """
        SELECT source, count(*), sum(flip::int), min(quality), max(height), bool_and(height = width),
               bool_and(octet_length(target) = height * width), bool_and(octet_length(input) = height * width),
               bool_and(octet_length(labels) = height * width), bool_and(hex(jpeg) LIKE 'FFD8%FFD9')
        FROM '{0}/prepare/examples/*.parquet' AS e JOIN '{0}/label/*.parquet' AS l USING (image_id, flip, height, width)
        GROUP BY source ORDER BY source"""
    rows = duckdb.execute(query.format(pristine)).fetchall()
    assert rows == [(f"{name}.png", 4, 2, 10, 32, *[True] * 5) for name in ("cat", "cup", "man")]


def test_duckdb_reads_examples_and_their_quarantine(pristine: Path) -> None:
    folder = pristine / "prepare"
    reading = duckdb.sql(f"SELECT source, reason FROM read_parquet('{folder}/quarantine/*.parquet')")
    assert reading.fetchall() == [("text.jpg", "not an image")]
    (described,) = duckdb.sql(
        f"SELECT list(name) FROM parquet_schema('{folder}/examples/part-00000.parquet')"
    ).fetchall()
    assert described[0][1:] == schema.EXAMPLES.names
