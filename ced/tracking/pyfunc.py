"""Models of MLflow that somebody else logged: what they take, and what they give."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ced.errors import ConfigError, first_line
from ced.tracking import client

_LENGTH = 200  # characters of a model's own message


class LoadedModel(NamedTuple):
    """A model that can be asked."""

    predict: Callable[[Any], Any]
    columns: tuple[tuple[str, str], ...]  # name and type of each column it takes; none where it takes arrays
    tensors: tuple[tuple[str, str, tuple[int, ...]], ...]  # name ("" for none), type and shape; -1: of any size


def load(folder: Path, name: str) -> LoadedModel:
    """The model in a folder that MLflow laid out. Its code runs in this process. Raises ConfigError."""
    client.configure_mlflow()
    import mlflow

    try:
        model = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:  # whatever its code and its packages raise
        line = first_line(error, _LENGTH, otherwise="")
        raise ConfigError(f"method {name}: the model cannot be loaded here ({type(error).__name__}: {line})") from error
    schema = model.metadata.get_input_schema()
    if schema is None:
        return LoadedModel(model.predict, (), ())
    if schema.is_tensor_spec():
        tensors = tuple((tensor.name or "", str(tensor.type), tuple(tensor.shape)) for tensor in schema.inputs)
        return LoadedModel(model.predict, (), tensors)
    return LoadedModel(model.predict, tuple((column.name or "", _type(column)) for column in schema.inputs), ())


def table(column: str, value: object) -> Any:
    """One row of one column, as such models take it."""
    import pandas as pd

    return pd.DataFrame({column: [value]})


def _type(column: Any) -> str:
    return str(getattr(column.type, "name", column.type))
