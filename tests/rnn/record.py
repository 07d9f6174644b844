"""Record ``mxnet.npz`` from MXNet 1.9.1; see :mod:`tests.golden.record` for the environment.

Run from the root of the repository, only when the tables of :mod:`tests.rnn.cells` change::

    mxenv/bin/python -m tests.rnn.record
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

np.bool = bool  # MXNet 1.9.1 reads an alias which NumPy has deprecated
import mxnet as mx  # noqa: E402

from ..golden import archive  # noqa: E402
from .cells import BUCKETED, CELLS, PACKED, UNROLLINGS, batches_of, unrolled_json, weights_of  # noqa: E402

# MXNet cannot give the states of a bidirectional cell that is inside another one.
REFUSED = {("residual of bidirectional", "own states")}


def main() -> None:
    """Graphs of all cells unrolled in all ways, weights packed and unpacked, batches of sentences."""
    graphs = {
        cell: {way: unrolled_json(mx, cell, **how) for way, how in UNROLLINGS.items() if (cell, way) not in REFUSED}
        for cell in CELLS
    }
    weights = {cell: weights_of(mx, cell) for cell in PACKED}
    batches = {name: batches_of(mx, name) for name in BUCKETED}
    record = {"graphs": graphs, "weights": weights, "batches": batches}
    archive.write(Path(__file__).parent / "mxnet.npz", record)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
