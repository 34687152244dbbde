"""Parquet schemas: planes as binary, versioned, and stable once published."""

import pyarrow as pa

from ced import schema


def test_planes_are_binary_columns() -> None:
    for name in ("target", "input", "jpeg", "labels"):
        assert schema.LABELLED.field(name).type == pa.binary()


def test_labelled_examples_are_examples_and_labels() -> None:
    assert schema.LABELLED.names == [*schema.EXAMPLES.names, "labels"]
    assert schema.EXAMPLES.names[:6] == ["image_id", "source", "flip", "quality", "height", "width"]


def test_every_schema_states_its_version() -> None:
    for one in (schema.EXAMPLES, schema.LABELLED, schema.QUARANTINE, schema.PER_IMAGE):
        assert one.metadata == {b"ced.schema": schema.VERSION.encode()}
        assert not any(field.nullable for field in one)
