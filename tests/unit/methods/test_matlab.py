"""DnCNN and AR-CNN against sums of scipy's correlations, with weights in files laid out as MATLAB lays them out."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.ndimage import correlate
from skimage import data

from ced.config import EvaluateConfig
from ced.core.images import luminance
from ced.errors import FormatError
from ced.methods import Damaged, checked, find, parse
from ced.methods.matlab import read

EYE = Damaged.of("cat", 10, luminance(data.chelsea()[90:135, 110:180]))
Layers = list[tuple[np.ndarray, np.ndarray]]  # MATLAB's axes: (row, column, in, out), and (out,)


def layers(sides: tuple[int, ...], planes: tuple[int, ...]) -> Layers:
    """Random convolutions, none of them symmetric: a turned or mirrored kernel is another network."""
    random = np.random.default_rng(5)
    return [
        (
            (random.uniform(-1, 2, (side, side, taken, given)) / (side * side * taken) * 1.6).astype(np.float32),
            random.normal(0, 0.02, given),
        )
        for side, taken, given in zip(sides, planes[:-1], planes[1:], strict=True)
    ]


def expected(image: np.ndarray, convolutions: Layers, mode: str, is_residual: bool) -> np.ndarray:
    planes = [image / 255.0]
    for number, (weights, biases) in enumerate(convolutions):
        planes = [
            sum(correlate(plane, weights[:, :, n, filter], mode=mode) for n, plane in enumerate(planes))
            + biases[filter]
            for filter in range(len(biases))
        ]
        if number < len(convolutions) - 1:
            planes = [plane.clip(0) for plane in planes]
    answer = image / 255.0 - planes[0] if is_residual else planes[0]
    rounded = np.round(answer * 255).clip(0, 255)
    assert rounded.std() > 10, "no constant image"
    return rounded


def write_dncnn(path: Path, convolutions: Layers, kinds: str = "") -> Path:
    """As MATLAB 7.3 has MatConvNet's network: HDF5, axes the other way round, cells as references; a last axis of one
    is left out."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        references = []

        def stored(value: np.ndarray | str) -> object:
            array = np.array([ord(letter) for letter in value], np.uint16) if isinstance(value, str) else value
            return file.create_dataset(f"#refs#/{len(file.get('#refs#', ())):03d}", data=array).ref

        for number, (weights, biases) in enumerate(convolutions):
            cells = [weights.squeeze(3) if weights.shape[3] == 1 else weights, biases[None]]
            for kind in ("conv", "relu")[: 1 if number == len(convolutions) - 1 else 2]:
                layer = file.create_group(f"#refs#/layer-{number}-{kind}")
                layer["type"] = np.array([ord(letter) for letter in kinds or kind], np.uint16)[:, None]
                if kind == "conv":
                    cell = [stored(np.ascontiguousarray(each.T)) for each in cells]
                    layer.create_dataset("weights", data=np.array([cell], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
                references.append(layer.ref)
        column = np.array(references, dtype=h5py.ref_dtype)[:, None]
        file.create_dataset("net/layers", data=column, dtype=h5py.ref_dtype)
    return path


def write_arcnn(path: Path, convolutions: Layers) -> Path:
    """As its authors' demonstration reads it: (in, side x side by columns, out), a last axis of one left out."""
    saved = {}
    for name, (weights, biases) in zip(("1", "2", "22", "3"), convolutions, strict=True):
        side, _, taken, given = weights.shape
        cells = weights.transpose(2, 0, 1, 3).reshape(taken, side * side, given, order="F")
        saved |= {f"weights_conv{name}": cells[..., 0] if given == 1 else cells, f"biases_conv{name}": biases[:, None]}
    savemat(path, saved)
    return path


DNCNN = layers((3, 3, 3), (1, 5, 4, 1))
ARCNN = layers((5, 3, 1, 3), (1, 6, 4, 3, 1))


def test_dncnn_is_the_image_without_what_its_convolutions_say(tmp_path: Path) -> None:
    method = find(parse(f"net=network:{write_dncnn(tmp_path / 'net.mat', DNCNN)}"), EvaluateConfig(), tmp_path)
    reference = expected(EYE.image, DNCNN, "constant", is_residual=True)
    assert np.abs(checked(method, EYE) - reference).max() <= 1  # float32 rounds a half otherwise
    assert (checked(method, EYE) == reference).mean() > 0.99


def test_arcnn_repeats_the_edges_before_every_convolution(tmp_path: Path) -> None:
    method = find(parse(f"net=network:{write_arcnn(tmp_path / 'net.mat', ARCNN)}"), EvaluateConfig(), tmp_path)
    reference = expected(EYE.image, ARCNN, "nearest", is_residual=False)
    assert np.abs(checked(method, EYE) - reference).max() <= 1
    assert (checked(method, EYE) == reference).mean() > 0.99


def test_other_networks_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with pytest.raises(FormatError, match="its layers are bnorm; only conv and relu"):
        read(write_dncnn(tmp_path / "net.mat", DNCNN, kinds="bnorm"))
    with pytest.raises(FormatError, match=r"have \[3, 5, 1\] planes; one of a single plane"):
        read(write_dncnn(tmp_path / "net.mat", layers((3, 3), (3, 5, 1))))
    with h5py.File(tmp_path / "net.mat", "w") as file:
        file["other"] = 1
    with pytest.raises(FormatError, match="no net.layers"):
        read(tmp_path / "net.mat")
    savemat(tmp_path / "net.mat", {"weights_conv1": np.zeros((1, 81, 64))})
    with pytest.raises(FormatError, match="no weights_conv2 in it; give AR-CNN's file"):
        read(tmp_path / "net.mat")
