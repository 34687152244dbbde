"""What a model's signature says, read from real models; what cannot be loaded is one line."""

from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from ced.errors import ConfigError
from ced.tracking import pyfunc


class Same(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Gives back what it is given."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """As it came."""
        return model_input


def save(folder: Path, schema: Schema | None) -> Path:
    signature = ModelSignature(inputs=schema) if schema else None
    mlflow.pyfunc.save_model(str(folder), python_model=Same(), signature=signature, pip_requirements=["mlflow"])
    return folder


@pytest.mark.parametrize(
    ("schema", "columns", "tensors"),
    [
        (Schema([ColSpec(DataType.binary, "photo")]), (("photo", "binary"),), ()),
        (
            Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.string, "b")]),
            (("a", "double"), ("b", "string")),
            (),
        ),
        (Schema([TensorSpec(np.dtype("uint8"), (-1, -1, 3))]), (), (("", "uint8", (-1, -1, 3)),)),
        (Schema([TensorSpec(np.dtype("float32"), (-1, 1, -1, -1), "x")]), (), (("x", "float32", (-1, 1, -1, -1)),)),
        (None, (), ()),
    ],
)
def test_signatures(tmp_path: Path, schema: Schema | None, columns: tuple, tensors: tuple) -> None:
    loaded = pyfunc.load(save(tmp_path / "model", schema), "theirs")
    assert (loaded.columns, loaded.tensors) == (columns, tensors)


def test_a_table_is_one_row_of_one_column(tmp_path: Path) -> None:
    loaded = pyfunc.load(save(tmp_path / "model", Schema([ColSpec(DataType.binary, "photo")])), "theirs")
    answer = loaded.predict(pyfunc.table("photo", b"\xff\xd8"))
    assert answer.shape == (1, 1) and answer["photo"][0] == b"\xff\xd8"


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", None)
    (folder / "python_model.pkl").write_bytes(b"words")
    with pytest.raises(ConfigError, match=r"method theirs: the model cannot be loaded here \(\w+: .*\)") as caught:
        pyfunc.load(folder, "theirs")
    assert "\n" not in str(caught.value)
