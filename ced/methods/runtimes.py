"""Networks in the formats of two runtimes: ONNX by onnxruntime, and ncnn's (waifu2x and Real-ESRGAN are published so).

Both run on one core of the CPU, in 32 bits where the file leaves it open. How much a network enlarges and how many
pixels it loses at its edges is found by asking it twice.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ced.errors import FormatError
from ced.methods.network import Network

_GRID = 8  # of height and width: many networks halve an image up to three times, or cut it into windows
_PROBES = (64, 72)  # sides of the images that are asked for
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def read_onnx(file: Path) -> Network:
    """A model of one input (N, C, H, W) of floats in 0..1 with free height and width. Raises FormatError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it raises says enough
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    shapes = ", ".join(f"{taken.type} {taken.shape}" for taken in inputs)
    given = inputs[0]
    if len(inputs) != 1 or len(given.shape) != 4 or given.shape[1] not in (1, 3) or given.type not in _FLOATS:
        raise FormatError(f"it takes {shapes}; one tensor of floats [N, 1 or 3, height, width] is needed")

    def run(image: np.ndarray) -> np.ndarray:
        answer: np.ndarray = session.run(None, {given.name: image[None].astype(_FLOATS[given.type])})[0][0]
        return answer.astype(np.float32)

    return _probed(run, given.shape[1])


def read_ncnn(file: Path) -> Network:
    """A model of one colour image in 0..1: FILE.param, with its weights in FILE.bin. Raises FormatError."""
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(file)) or net.load_model(str(file.with_suffix(".bin"))):
        raise FormatError("ncnn cannot load it and its .bin")
    inputs, outputs = net.input_names(), net.output_names()
    if len(inputs) != 1 or len(outputs) != 1:
        raise FormatError(f"it has {len(inputs)} inputs and {len(outputs)} outputs; one of each is needed")

    def run(image: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input(inputs[0], ncnn.Mat(image))
        code, answer = extractor.extract(outputs[0])
        if code:
            raise FormatError(f"ncnn ends with {code} for an image of {image.shape}")
        return np.array(answer)

    return _probed(run, channels=3)


def _probed(run: Callable[[np.ndarray], np.ndarray], channels: int) -> Network:
    """The network with what two flat images tell of its size. Raises FormatError where it answers with no image."""
    shapes = [run(np.full((channels, side, side), 0.5, np.float32)).shape for side in _PROBES]
    sides = [shape[-1] for shape in shapes]
    scale = (sides[1] - sides[0]) // (_PROBES[1] - _PROBES[0])
    lost = scale * _PROBES[0] - sides[0]
    if any(shape != (channels, side, side) for shape, side in zip(shapes, sides, strict=True)) or scale < 1 or lost < 0:
        raise FormatError(f"it makes {shapes[0]} of {(channels, _PROBES[0], _PROBES[0])}: no image for an image")
    if lost % (2 * scale) or sides[1] != scale * _PROBES[1] - lost:
        raise FormatError(f"it makes {sides} of sides of {list(_PROBES)} pixels: not enlarged by a whole number")
    return Network(run, channels, _GRID, lost // (2 * scale), scale)


ENTRIES = {".onnx": read_onnx, ".param": read_ncnn}
