"""Arguments of the commands that make models: run, prepare, train, experiment."""

import argparse

from ced.cli.arguments.common import Parser, images, recipe, shared, training
from ced.networks import NETWORKS


def run(parser: argparse.ArgumentParser) -> None:
    """`ced run`."""
    recipe(parser, positional=True)
    images(parser)
    parser.add_argument(
        "--test-images", metavar="SRC", help="test images: a folder, archive, list, s3:// address or builtin:test"
    )
    parser.add_argument("--report", metavar="DIR", help="copy report.html and results.json here")
    shared(parser)


def prepare(parser: argparse.ArgumentParser) -> None:
    """`ced prepare`."""
    recipe(parser, positional=False)
    images(parser)
    parser.add_argument("-o", "--out", metavar="DIR", help="write into this folder instead of the store")
    shared(parser)


def train(parser: argparse.ArgumentParser) -> None:
    """`ced train`."""
    parser.add_argument("model", choices=NETWORKS.names, metavar="MODEL", help=", ".join(NETWORKS.names))
    recipe(parser, positional=False)
    images(parser)
    parser.add_argument("-o", "--out", metavar="DIR", help="write models into this folder instead of the store")
    training(parser)
    shared(parser)


def experiment(parser: argparse.ArgumentParser) -> None:
    """`ced experiment`."""
    experiments = parser.add_subparsers(dest="subcommand", required=True, metavar="EXPERIMENT", parser_class=Parser)
    about = {
        "stages": "Table 1: the accuracy of each stage of a three-stage classifier on held-out photographs",
        "decoder-weights": "section 3.4: how much the decoder looks at q, trained with q-hat and trained with q",
    }
    for name, text in about.items():
        one = experiments.add_parser(name, help=text, description=text)
        recipe(one, positional=False)
        images(one)
        one.add_argument("-o", "--out", metavar="FILE", help="write the figures into this JSON file as well")
        one.add_argument(
            "--models", metavar="DIR", help="take models from here, where `ced train -o` wrote; the missing are trained"
        )
        training(one)
        shared(one)
