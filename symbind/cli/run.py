"""``symbind run``: other people's scripts."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

import numpy as np

from .. import mxnet_imports

__all__ = ["run"]

# Names that NumPy had when scripts for MXNet were written.
_FORMER_NUMPY = {"int": int, "float": float, "object": object, "str": str, "complex": complex, "float_": np.float64}


def run(options: argparse.Namespace) -> int:
    """Run a script as ``python script arguments...`` would, with ``mxnet`` being this package."""
    script = Path(options.script)
    if not script.is_file():
        print(f"symbind run: there is no file {options.script!r}", file=sys.stderr)
        return 1
    mxnet_imports.install()
    for name, value in _FORMER_NUMPY.items():
        if name not in vars(np):
            setattr(np, name, value)
    sys.argv = [options.script, *options.arguments]
    sys.path.insert(0, str(script.parent))
    runpy.run_path(options.script, run_name="__main__")
    return 0
