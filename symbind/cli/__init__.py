"""The ``symbind`` command: look at saved networks, check that they would run here, run them; and run MXNet's scripts.

A model is a ``*-symbol.json`` file, with its ``*.params`` file if values matter, or an archive ``model.tar.gz`` that
holds both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from ..base import MXNetError
from ..im2rec import main as im2rec
from .check import check
from .commands import convert, plan, plot, predict, summary
from .run import run

__all__ = ["main"]

Shape = tuple[int, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 if all is well, 1 if the model is not, 2 for a wrong call."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["im2rec"]:
        return im2rec(given[1:])  # it has a parser of its own
    options = _parser().parse_args(given)
    if options.run is run:
        # What goes wrong in somebody's script is shown with its traceback, as Python would.
        return run(options)
    try:
        return options.run(options)
    except (MXNetError, ValueError, TypeError, OSError) as error:
        print(f"symbind {options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="symbind", description="Look at saved networks, check them and run them.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], description: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=description, description=description)
        sub.set_defaults(run=run)
        sub.add_argument("model", help="a *-symbol.json file, or an archive (model.tar.gz)")
        sub.add_argument("params", nargs="?", help="a *.params file")
        sub.add_argument(
            "--shape", action="append", default=[], type=_named_shape, metavar="NAME=N,N,...",
            help="shape of an input, as data=1,3,224,224; may be repeated",
        )  # fmt: skip
        return sub

    command("check", check, "Say whether a model would run here, and what is wrong if it would not.")
    command("summary", summary, "Print the table of layers.")
    drawing = command("plot", plot, "Draw the network as SVG.")
    drawing.add_argument("-o", "--output", help="file to write (default: the model's name with .svg)")
    steps = command("plan", plan, "Print every step of the bound network with its kernel and memory.")
    steps.add_argument("--train", action="store_true", help="with gradients of all parameters")
    steps.add_argument("--time", type=int, default=0, metavar="RUNS", help="time every step, the fastest of RUNS")
    prediction = command("predict", predict, "Run the network on arrays and write its outputs.")
    prediction.add_argument(
        "--input", action="append", default=[], type=_named_file, metavar="NAME=FILE.npy",
        help="an input; may be repeated",
    )  # fmt: skip
    prediction.add_argument("-o", "--output", help="file to write (.npz) with an array for each output")
    conversion = command("convert", convert, "Write a model of any version, or an archive, in today's formats.")
    conversion.add_argument(
        "-o", "--output", required=True, metavar="PREFIX", help="what the names of the files begin with"
    )
    conversion.add_argument("--epoch", type=int, default=0, help="number in the name of the parameter file")
    commands.add_parser("im2rec", help="Make a record file of images.")
    description = "Run a script whose imports say mxnet, unchanged."
    script = commands.add_parser("run", help=description, description=description)
    script.set_defaults(run=run)
    script.add_argument("script", help="a Python file")
    script.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is given")
    return parser


def _named_shape(text: str) -> tuple[str, Shape]:
    name, equals, dims = text.rpartition("=")
    try:
        shape = tuple(int(n) for n in dims.strip("()[] ").rstrip(",").split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected NAME=N,N,... with numbers from 1, not {text!r}")
    return name, shape


def _named_file(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not equals or not name or not file:
        raise argparse.ArgumentTypeError(f"expected NAME=FILE.npy, not {text!r}")
    return name, file
