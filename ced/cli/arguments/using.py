"""Arguments of the commands for what is made: restore, data, recipes."""

import argparse

from ced.cli.arguments.common import Parser, settings


def restore(parser: argparse.ArgumentParser) -> None:
    """`ced restore`."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, or folders of them")
    parser.add_argument("-o", "--out", required=True, metavar="OUT", help="a PNG file, or a folder for many")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a restorer's folder, an MLflow URI, or released: what comes with ced, for "
        "good images too; default: what comes with ced, for JPEGs of quality factor 70 or less (90 with --faithful)",
    )
    parser.add_argument("--store", metavar="DIR", help="restore with the champion of this store")
    parser.add_argument(
        "--faithful",
        action="store_true",
        help="what comes with ced for those who want nothing invented: smooth and nearest to the pixels (ED)",
    )
    parser.add_argument(
        "--read-off",
        metavar="HOW",
        help="how CED chooses among the frequencies that its classifier thinks possible: argmax (the paper's, sharp), "
        "mean (faithful), or a temperature from 0 (argmax) to 1 (mean); default: the restorer's own, or argmax",
    )
    parser.add_argument(
        "--self-ensemble",
        action="store_true",
        help="the mean over the image and its three flips: nearer to the pixels, less sharp, four times as long",
    )


def data(parser: argparse.ArgumentParser) -> None:
    """`ced data`."""
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND", parser_class=Parser)
    about = "is every part there, unaltered, and do the counts add up"
    verify = commands.add_parser("verify", help=about, description=about)
    verify.add_argument("folders", nargs="+", metavar="DIR", help="a finished output, or a folder of them: a store")
    about = "configuration, columns and class balance in words, and examples as a picture"
    show = commands.add_parser("show", help=about, description=about)
    show.add_argument("folder", metavar="DIR", help="what `ced prepare -o` wrote, or one output of it")
    show.add_argument("-o", "--out", default="contact-sheet.png", metavar="PNG", help="default: contact-sheet.png")
    show.add_argument("--examples", type=int, default=8, metavar="N", help="examples in the picture (8)")


def recipes(parser: argparse.ArgumentParser) -> None:
    """`ced recipes`."""
    parser.add_argument("action", nargs="?", choices=["show"], help="show one recipe's settings")
    parser.add_argument("name", nargs="?")
    settings(parser)
