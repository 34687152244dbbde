"""DnCNN and AR-CNN from the MATLAB files that their authors publish, run by torch.

DnCNN: Zhang, Zuo, Chen, Meng and Zhang 2017, a network of MatConvNet (`net.layers`) that predicts the error. AR-CNN:
Dong, Deng, Loy and Tang 2015, four convolutions as the demonstration of its authors reads them (`weights_conv1` ...).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ced.errors import FormatError
from ced.methods.network import Network

_HDF5 = b"\x89HDF\r\n\x1a\n"
_AT = 512  # bytes that MATLAB writes before HDF5's own
_ARCNN = ("1", "2", "22", "3")  # the suffixes of its convolutions, in order


class Convolution(NamedTuple):
    """A convolution, as torch has it: correlation. Shape: (out, in, side, side) and (out,), float32."""

    weights: np.ndarray
    biases: np.ndarray


def read(file: Path) -> Network:
    """The network in a MATLAB file. Raises FormatError for another one."""
    found = layers(file)
    planes = [found[0].weights.shape[1], *(layer.weights.shape[0] for layer in found)]
    taken = [layer.weights.shape[1] for layer in found]
    if planes[:-1] != taken or planes[0] != 1 or planes[-1] != 1:
        raise FormatError(f"its convolutions have {planes} planes; one of a single plane, in and out, is needed")
    # DnCNN pads with zeros and predicts the error; AR-CNN repeats the edge before every convolution.
    is_dncnn = _is_hdf5(file)
    return Network(_run(found, "constant" if is_dncnn else "replicate", is_residual=is_dncnn), channels=1)


def layers(file: Path) -> list[Convolution]:
    """The convolutions in a MATLAB file: of version 7.3 DnCNN's, of an older one AR-CNN's. Raises FormatError."""
    return _dncnn(file) if _is_hdf5(file) else _arcnn(file)


def _is_hdf5(file: Path) -> bool:
    with open(file, "rb") as opened:
        return _HDF5 in opened.read(_AT + len(_HDF5))


def _dncnn(file: Path) -> list[Convolution]:
    """The convolutions of MatConvNet's `net.layers`, its batch normalization merged into them already."""
    import h5py

    with h5py.File(file) as opened:
        if "net/layers" not in opened:
            raise FormatError("no net.layers of MatConvNet in it; give DnCNN's file")
        cells = [opened[reference] for reference in np.array(opened["net/layers"]).ravel()]
        kinds = ["".join(map(chr, np.array(cell["type"]).ravel())) for cell in cells]
        if kinds != ["conv", "relu"] * (len(kinds) // 2) + ["conv"]:
            raise FormatError(f"its layers are {', '.join(dict.fromkeys(kinds))}; only conv and relu in turn are known")
        pairs = [[np.array(opened[each]) for each in np.array(cell["weights"]).ravel()] for cell in cells[::2]]
    # MATLAB's axes are row, column, in, out, the last left out where it is 1; HDF5 has them the other way round.
    weights = [array if array.ndim == 4 else array[None] for array, _ in pairs]
    return [
        Convolution(_float32(array.transpose(0, 1, 3, 2)), _float32(biases.ravel()))
        for array, (_, biases) in zip(weights, pairs, strict=True)
    ]


def _arcnn(file: Path) -> list[Convolution]:
    """The convolutions of AR-CNN: each of `weights_conv*` is (in, side x side by columns, out)."""
    from scipy.io import loadmat

    found: dict[str, Any] = loadmat(file)
    if missing := [f"weights_conv{n}" for n in _ARCNN if f"weights_conv{n}" not in found]:
        raise FormatError(f"no {missing[0]} in it; give AR-CNN's file")
    convolutions = []
    for number in _ARCNN:
        weights = np.atleast_3d(found[f"weights_conv{number}"])
        planes, area, filters = weights.shape
        side = round(area**0.5)
        square = weights.reshape(planes, side, side, filters, order="F").transpose(3, 0, 1, 2)
        convolutions.append(Convolution(_float32(square), _float32(found[f"biases_conv{number}"].ravel())))
    return convolutions


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)


def _run(convolutions: Sequence[Convolution], padding: str, is_residual: bool) -> Callable[[np.ndarray], np.ndarray]:
    """The convolutions with rectifiers between them, each with its own padding; a residual is taken from the image."""
    import torch
    import torch.nn.functional as F

    tensors = [(torch.from_numpy(layer.weights), torch.from_numpy(layer.biases)) for layer in convolutions]

    def run(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            given = torch.from_numpy(image)[None]
            x = given
            for number, (weights, biases) in enumerate(tensors):
                padded = F.pad(x.relu_() if number else x, [weights.shape[-1] // 2] * 4, mode=padding)
                x = F.conv2d(padded, weights, biases)
            answer: np.ndarray = (given - x if is_residual else x)[0].numpy()
            return answer

    return run


ENTRIES = {".mat": read}
