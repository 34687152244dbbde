"""Arguments of the commands that judge them: evaluate, evaluate-vision, report."""

import argparse

from ced import networks
from ced.cli.arguments.common import shared
from ced.config import WITH_CED


def evaluate(parser: argparse.ArgumentParser) -> None:
    """`ced evaluate`."""
    parser.add_argument(
        "--images",
        required=True,
        metavar="SRC",
        help="test images: a folder, archive, list, s3:// address or builtin:test",
    )
    parser.add_argument("--name", metavar="NAME", help="what the data set is called; default: the folder's name")
    parser.add_argument("--quality", type=int, action="append", metavar="QF", help="JPEG quality factor; repeatable")
    parser.add_argument(
        "--colour", choices=("y", "rgb"), metavar="y|rgb", help="code luminance (y) or the colour image"
    )
    parser.add_argument(
        "--methods",
        action="append",
        metavar="A,B,...",
        help=f"{', '.join((*networks.methods(), *WITH_CED))}, or NAME=WHERE: a restorer's folder, models:/NAME@ALIAS, "
        "folder:DIR of restored images, command:PROGRAM {input} {output}; repeatable, and a command takes the whole of "
        "its own",
    )
    parser.add_argument("--models", metavar="DIR", help="a folder that `ced train -o` wrote, for bare method names")
    parser.add_argument("--lpips", action="store_true", help="measure LPIPS too (its package is extra)")
    parser.add_argument("--report", metavar="DIR", help="copy the report, results.json and the tables here")
    shared(parser)


def evaluate_vision(parser: argparse.ArgumentParser) -> None:
    """`ced evaluate-vision`."""
    parser.add_argument("--voc", required=True, metavar="DIR", help="a VOC folder with boxes and masks")
    parser.add_argument("--split", metavar="NAME", help="one of its image sets, such as val; default: all images")
    parser.add_argument(
        "--detector", required=True, metavar="SPEC", help="an ONNX file of the YOLOX layout, or torchvision:NAME"
    )
    parser.add_argument(
        "--segmenter",
        required=True,
        metavar="SPEC",
        help="a TFLite or ONNX file with VOC's classes, or torchvision:NAME",
    )
    parser.add_argument(
        "--methods",
        action="append",
        metavar="A,B,...",
        help="original, and all that `ced evaluate` takes: jpeg, NAME=WHERE (original,jpeg); repeatable",
    )
    parser.add_argument("--models", metavar="DIR", help="a folder that `ced train -o` wrote, for bare method names")
    parser.add_argument(
        "--quality", type=int, action="append", metavar="QF", help="JPEG quality factor (10); repeatable"
    )
    parser.add_argument("--colour", action="append", metavar="COLOUR", help="rgb, or y for luminance (rgb); repeatable")
    parser.add_argument(
        "--through", metavar="HOW", help="RGB by an rgb model, or by one of luminance: ycbcr (every channel) or luma"
    )
    parser.add_argument(
        "--fit", default="native", metavar="HOW", help="segment images at native size (default), or scaled to the input"
    )
    parser.add_argument("--pictures", type=int, default=4, metavar="N", help="images drawn with boxes and masks (4)")
    parser.add_argument("--report", metavar="DIR", help="copy the table and results.json here")
    shared(parser)


def report(parser: argparse.ArgumentParser) -> None:
    """`ced report`."""
    parser.add_argument(
        "folder", nargs="?", metavar="DIR", help="an evaluation's folder, or one with evaluations; default: the store"
    )
    parser.add_argument("-o", "--out", metavar="DIR", help="copy report.html, results.json, figures and strips here")
    parser.add_argument("--images", metavar="A,B,...", help="pictures to show, by number or name; default: all kept")
    parser.add_argument("--crop", metavar="L,T,W,H", help="region of figures 1, 4 and 5; default: where most detail is")
    parser.add_argument("--channels", metavar="1-1,...", help="of figure 6: row and column (1-1,1-2,2-2,4-4,8-8)")
    parser.add_argument("--store", metavar="DIR", help="where outputs are kept (CED_STORE, .ced)")
