"""The command `ced`: arguments here, work in the other modules, imported only when it is wanted."""

import argparse
import importlib
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from ced import __version__, settings
from ced.config import METHODS, MODELS, unknown
from ced.errors import CedError

_COMMANDS = {
    "run": ("ced.cli.run", "the whole pipeline: photographs in, tables, report and registered model out"),
    "prepare": ("ced.cli.stages", "photographs -> labelled examples"),
    "train": ("ced.cli.stages", "labelled examples -> weights of one model"),
    "evaluate": ("ced.cli.evaluate", "test images and methods -> table, report and figures"),
    "evaluate-vision": ("ced.cli.evaluate_vision", "labelled test images -> detection and segmentation scores"),
    "report": ("ced.cli.report", "the page and the figures of a finished evaluation, drawn again"),
    "experiment": ("ced.cli.experiment", "the paper's other experiments: its figures beside ours"),
    "restore": ("ced.cli.restore", "bad JPEGs -> restored PNGs"),
    "data": ("ced.cli.data", "check outputs part by part, or show what is in them"),
    "recipes": ("ced.cli.recipes", "list the recipes, or show one"),
}


_SOURCES = "a folder, an archive, a list of paths, any of them on s3://,"


class _Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line, with the nearest command or model."""

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            name = (action.metavar or action.dest).lower() if isinstance(action.metavar, str) else action.dest
            raise CedError(unknown(name, value, action.choices))

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ced: error: {message}; see `{self.prog} --help`\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0, 2 for a mistake of the user's, 130 where stopped."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    settings.quiet()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("ced").setLevel(logging.INFO)
    try:
        arguments = _parser().parse_args(argv)
        module = importlib.import_module(_COMMANDS[arguments.command][0])
        function = getattr(arguments, "subcommand", arguments.command)
        getattr(module, function.replace("-", "_"))(arguments)
    except CedError as error:
        print(f"ced: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ced: stopped; the same command goes on where this one ended", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return 0


def _stop(number: int, frame: object) -> None:
    """SIGTERM is Ctrl-C: what is under way is left in order."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ced", description="Restores JPEG images by estimating the frequencies they lost.")
    parser.add_argument("--version", action="version", version=f"ced {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    add = {name: commands.add_parser(name, help=text, description=text) for name, (_, text) in _COMMANDS.items()}
    _run(add["run"])
    _prepare(add["prepare"])
    _train(add["train"])
    _evaluate(add["evaluate"])
    _evaluate_vision(add["evaluate-vision"])
    _report(add["report"])
    _experiment(add["experiment"])
    _restore(add["restore"])
    _data(add["data"])
    recipes = add["recipes"]
    recipes.add_argument("action", nargs="?", choices=["show"], help="show one recipe's settings")
    recipes.add_argument("name", nargs="?")
    _settings(recipes)
    return parser


def _run(parser: argparse.ArgumentParser) -> None:
    _recipe(parser, positional=True)
    _images(parser)
    parser.add_argument(
        "--test-images", metavar="SRC", help="test images: a folder, archive, list, s3:// address or builtin:test"
    )
    parser.add_argument("--report", metavar="DIR", help="copy report.html and results.json here")
    _shared(parser)


def _prepare(parser: argparse.ArgumentParser) -> None:
    _recipe(parser, positional=False)
    _images(parser)
    parser.add_argument("-o", "--out", metavar="DIR", help="write into this folder instead of the store")
    _shared(parser)


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", choices=MODELS, metavar="MODEL", help=", ".join(MODELS))
    _recipe(parser, positional=False)
    _images(parser)
    parser.add_argument("-o", "--out", metavar="DIR", help="write models into this folder instead of the store")
    _training(parser)
    _shared(parser)


def _experiment(parser: argparse.ArgumentParser) -> None:
    experiments = parser.add_subparsers(dest="subcommand", required=True, metavar="EXPERIMENT", parser_class=_Parser)
    about = {
        "stages": "Table 1: the accuracy of each stage of a three-stage classifier on held-out photographs",
        "decoder-weights": "section 3.4: how much the decoder looks at q, trained with q-hat and trained with q",
    }
    for name, text in about.items():
        one = experiments.add_parser(name, help=text, description=text)
        _recipe(one, positional=False)
        _images(one)
        one.add_argument("-o", "--out", metavar="FILE", help="write the figures into this JSON file as well")
        _training(one)
        _shared(one)


def _training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="a folder that `ced prepare -o` wrote, instead of --images")
    parser.add_argument("--device", metavar="NAME", help="device of --without-ray, such as cpu or cuda")
    parser.add_argument("--without-ray", action="store_true", help="train in this process, without Ray Train")


def _evaluate(parser: argparse.ArgumentParser) -> None:
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
        help=f"{', '.join(METHODS)}, or NAME=WHERE: a restorer's folder, released (the one that comes with ced), "
        "models:/NAME@ALIAS, folder:DIR of restored images, command:PROGRAM {input} {output}; repeatable, and a "
        "command takes the whole of its own",
    )
    parser.add_argument("--models", metavar="DIR", help="a folder that `ced train -o` wrote, for bare method names")
    parser.add_argument("--lpips", action="store_true", help="measure LPIPS too (its package is extra)")
    parser.add_argument("--report", metavar="DIR", help="copy the report, results.json and the tables here")
    _shared(parser)


def _evaluate_vision(parser: argparse.ArgumentParser) -> None:
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
    _shared(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", metavar="DIR", help="an evaluation's folder, or one with evaluations; default: the store"
    )
    parser.add_argument("-o", "--out", metavar="DIR", help="copy report.html, results.json, figures and strips here")
    parser.add_argument("--images", metavar="A,B,...", help="pictures to show, by number or name; default: all kept")
    parser.add_argument("--crop", metavar="L,T,W,H", help="region of figures 1, 4 and 5; default: where most detail is")
    parser.add_argument("--channels", metavar="1-1,...", help="of figure 6: row and column (1-1,1-2,2-2,4-4,8-8)")
    parser.add_argument("--store", metavar="DIR", help="where outputs are kept (CED_STORE, .ced)")


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, or folders of them")
    parser.add_argument("-o", "--out", required=True, metavar="OUT", help="a PNG file, or a folder for many")
    parser.add_argument(
        "--model", metavar="MODEL", help="a restorer's folder or an MLflow URI; default: the one that comes with ced"
    )
    parser.add_argument("--store", metavar="DIR", help="restore with the champion of this store")
    parser.add_argument(
        "--read-off",
        default="argmax",
        metavar="HOW",
        help="how CED chooses among the frequencies that its classifier thinks possible: argmax (the paper's, sharp; "
        "default), mean (faithful), or a temperature from 0 (argmax) to 1 (mean)",
    )


def _data(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND", parser_class=_Parser)
    about = "is every part there, unaltered, and do the counts add up"
    verify = commands.add_parser("verify", help=about, description=about)
    verify.add_argument("folders", nargs="+", metavar="DIR", help="a finished output, or a folder of them: a store")
    about = "configuration, columns and class balance in words, and examples as a picture"
    show = commands.add_parser("show", help=about, description=about)
    show.add_argument("folder", metavar="DIR", help="what `ced prepare -o` wrote, or one output of it")
    show.add_argument("-o", "--out", default="contact-sheet.png", metavar="PNG", help="default: contact-sheet.png")
    show.add_argument("--examples", type=int, default=8, metavar="N", help="examples in the picture (8)")


def _recipe(parser: argparse.ArgumentParser, positional: bool) -> None:
    if positional:
        parser.add_argument("recipe", nargs="?", default="quickstart", metavar="RECIPE", help="default: quickstart")
    else:
        parser.add_argument("--recipe", default="quickstart", metavar="RECIPE", help="default: quickstart")


def _images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        action="append",
        metavar="SRC",
        help=f"training photographs: {_SOURCES} or builtin:train; repeatable",
    )
    parser.add_argument(
        "--pattern",
        action="append",
        default=[],
        dest="settings",
        type="prepare.pattern={}".format,
        metavar="GLOB",
        help="take only names that match, such as '*/test/*.JPEG'",
    )


def _settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="section.key=value", help="repeatable"
    )


def _shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="DIR", help="where outputs are kept (CED_STORE, .ced)")
    _settings(parser)
    parser.add_argument(
        "--ray-address", metavar="HOST:PORT", help="a Ray cluster (RAY_ADDRESS); default: a private one"
    )
