"""Models of MLflow that somebody else logged: what they may take and give, with real models from a real registry."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from PIL import Image, ImageOps

from ced.config import EvaluateConfig, fingerprint
from ced.errors import CedError, ConfigError
from ced.methods import Damaged, Failed, checked, find, parse
from ced.methods.pyfunc import Form, answer, form_of, load
from ced.methods.restorer import RestorerMethod
from ced.restoration.family import contents
from ced.restoration.restorer import Restorer, planewise
from ced.tracking import client


class Inverter(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Inverts JPEG files."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """PNG bytes, a list of one."""
        stream = io.BytesIO()
        ImageOps.invert(Image.open(io.BytesIO(model_input["photo"][0]))).save(stream, "PNG")
        return [stream.getvalue()]


class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Twice the values of a batch of planes in 0..1."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """As large."""
        return model_input * 2


FILES = Schema([ColSpec(DataType.binary, "photo")])
PLANES = Schema([TensorSpec(np.dtype("float32"), (-1, 1, -1, -1))])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, gray_model: Path) -> Path:
    """A store whose registry has three models of others, one of them without a signature, and one with a restorer."""
    root = tmp_path_factory.mktemp("store")
    tracking = client.local_uri(root)
    environment = dict(os.environ)
    mlflow.set_tracking_uri(tracking)
    mlflow.set_registry_uri(tracking)
    try:
        mlflow.create_experiment("others", artifact_location=(root / "mlartifacts").as_uri())
        mlflow.set_experiment("others")
        for name, model, schema in (
            ("files", Inverter(), FILES),
            ("planes", Doubler(), PLANES),
            ("bare", Doubler(), None),
        ):
            signature = ModelSignature(inputs=schema) if schema else None
            options = {"pip_requirements": ["mlflow"], "registered_model_name": name}
            mlflow.pyfunc.log_model(name=name, python_model=model, signature=signature, **options)
        folder = shutil.copytree(gray_model, root / "restorer")
        options["registered_model_name"] = "ours"
        mlflow.pyfunc.log_model(name="ours", python_model=Doubler(), artifacts={"restorer": str(folder)}, **options)
        family = make_family(root / "family" / "restorer", gray_model)
        options["registered_model_name"] = "family"
        mlflow.pyfunc.log_model(name="family", python_model=Doubler(), artifacts={"restorer": str(family)}, **options)
    finally:
        mlflow.set_tracking_uri(None)  # what is set goes before the environment of later tests
        mlflow.set_registry_uri(None)
        os.environ.clear()  # MLflow tells later processes of what it was set to
        os.environ.update(environment)
    return root


def make_family(folder: Path, restorer: Path) -> Path:
    """A restorer twice, for quality factors up to 15, and above."""
    for name in ("low", "high"):
        shutil.copytree(restorer, folder / name)
    members = [{"folder": "low", "colours": ["y"], "quality": [1, 15]}, {"folder": "high", "colours": ["y"]}]
    (folder / "family.json").write_text(json.dumps({"format": "ced-family", "version": 1, "members": members}))
    return folder


def method(store: Path, model: str, colour: str = "y") -> Any:
    return find(parse(f"theirs=models:/{model}/1"), EvaluateConfig(colour=colour), store)


def test_files_in_files_out(store: Path, gray: Damaged, colour: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert np.array_equal(checked(method(store, "files"), gray), 255 - gray.image)
    assert np.array_equal(checked(method(store, "files", "rgb"), colour), 255 - colour.image)


def test_planes_in_planes_out(store: Path, gray: Damaged, colour: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    theirs = method(store, "planes")
    doubled = np.minimum(gray.image.astype(int) * 2, 255)
    assert np.array_equal(checked(theirs, gray), doubled)
    expected = planewise(lambda plane: np.minimum(plane.astype(int) * 2, 255).astype(np.uint8), colour.image, "luma")
    assert np.array_equal(checked(theirs, colour), expected)


def test_a_model_with_a_restorer_in_it_is_the_restorer(
    store: Path, gray: Damaged, gray_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    prepared = find(parse("ours=models:/ours/1"), EvaluateConfig(), store)
    assert isinstance(prepared, RestorerMethod) and prepared.content == fingerprint(contents(gray_model))
    assert prepared.family.members[0].folder == store / "models" / prepared.content
    expected = Restorer.load(gray_model).restore_planes(gray.image[None])[0]
    assert np.array_equal(checked(prepared, gray), expected)


def test_a_model_with_a_family_in_it_is_the_family(
    store: Path, gray: Damaged, gray_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    conditions = EvaluateConfig(qualities=(10, 30))
    prepared = find(parse("ours=models:/family/1"), conditions, store)
    here = find(parse(f"ours={store / 'family' / 'restorer'}"), conditions, store)
    assert isinstance(prepared, RestorerMethod) and isinstance(here, RestorerMethod)
    assert [member.folder.name for member in prepared.family.members] == ["low", "high"]
    assert all(member.folder.is_relative_to(store / "models") for member in prepared.family.members)
    assert prepared.content == here.content
    expected = Restorer.load(gray_model).restore_planes(gray.image[None])[0]
    assert np.array_equal(checked(prepared, gray), expected)


def test_self_ensemble_is_for_restorers(store: Path, gray: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(CedError, match=r"models:/planes/1 is no restorer of ced; leave self-ensemble: out"):
        find(parse("theirs=self-ensemble:models:/planes/1"), EvaluateConfig(), store)
    ours = find(parse("ours=self-ensemble:models:/ours/1"), EvaluateConfig(), store)
    assert isinstance(ours, RestorerMethod) and ours.family.self_ensemble


def test_a_model_without_a_signature_is_one_line(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(CedError, match="method theirs: the model takes what no signature says; it has to take one col"):
        method(store, "bare")


def columns(*of: tuple[DataType, str]) -> Schema:
    return Schema([ColSpec(kind, name) for kind, name in of])


def array(kind: str, *shape: int, name: str | None = None) -> Schema:
    return Schema([TensorSpec(np.dtype(kind), shape, name)])


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        (columns((DataType.binary, "image")), Form("image")),
        (array("uint8", -1, -1), Form("", "HW", 1)),
        (array("uint8", -1, -1, -1), Form("", "NHW", 1)),
        (array("uint8", -1, -1, 3, name="x"), Form("x", "HWC", 3)),
        (array("float32", -1, -1, -1, 3), Form("", "NHWC", 3, "float32")),
        (array("float64", 1, 3, -1, -1), Form("", "NCHW", 3, "float64")),
    ],
)
def test_forms_of_signatures(schema: Schema, form: Form) -> None:
    assert form_of(schema, "theirs") == form


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (columns((DataType.double, "a"), (DataType.string, "b")), "the columns a (double), b (string)"),
        (array("float32", -1, 1, 64, 64), "float32 [-1, 1, 64, 64]"),
        (array("int64", -1, -1), "int64 [-1, -1]"),
        (array("uint8", -1, -1, -1, 4), "uint8 [-1, -1, -1, 4]"),
        (Schema([TensorSpec(np.dtype("uint8"), (-1, -1), name) for name in "ab"]), "uint8 [-1, -1], uint8 [-1, -1]"),
    ],
)
def test_what_takes_no_image_is_one_line(schema: Schema, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        form_of(schema, "theirs")
    assert f"method theirs: the model takes {told}; it has to take one column of bytes" in str(caught.value)


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=Doubler(), pip_requirements=["mlflow"])
    (tmp_path / "model" / "python_model.pkl").write_bytes(b"words")
    with pytest.raises(ConfigError, match=r"method theirs: the model cannot be loaded here \(\w+: .*\)") as caught:
        load(tmp_path / "model", "theirs")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("axes", ["HWC", "NHWC", "NCHW"])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_arrays_of_colour_keep_their_channels_apart(colour: Damaged, axes: str, kind: str) -> None:
    seen = []

    def predict(array: np.ndarray) -> np.ndarray:
        seen.append(array)
        return array

    assert np.array_equal(answer(predict, Form("", axes, 3, kind), colour), colour.image)
    height, width = colour.image.shape[:2]
    sizes = {"N": 1, "H": height, "W": width, "C": 3}
    assert seen[0].shape == tuple(sizes[axis] for axis in axes) and seen[0].dtype == kind
    assert seen[0].max() <= (255 if kind == "uint8" else 1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [(np.zeros((3, 3)), "another size"), (np.full((45, 70), np.nan), "no image"), ("x", "another size")],
)
def test_an_answer_that_is_no_image_is_a_failure(gray: Damaged, wrong: Any, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        answer(lambda array: wrong, Form("", "HW", 1, "float32"), gray)
    with pytest.raises(Failed, match="no image: the model answers with"):
        answer(lambda table: [wrong], Form("photo"), gray)
