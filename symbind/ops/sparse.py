"""Operators about the storage of sparse arrays, under their names and on dense arrays.

A network is computed on dense arrays, so there what changes only the storage is the identity; what becomes of sparse
arrays in ``mx.nd`` is the affair of :mod:`symbind.ndarray.sparse_operators`. Other operators that MXNet has for sparse
arrays as well carry the names ``_sparse_X`` among their aliases.
"""

from __future__ import annotations

from copy import copy
from functools import partial

import torch

from ..base import MXNetError
from ..graph import registry
from ..graph.symbol import apply
from .elementwise import PAIR_FUNCTIONS, Elementwise
from .gradient_control import Identity
from .indexing import Embedding
from .operator import ZERO, Operator, Sample, register
from .parameter import Enum, Param
from .scalar import ScalarOperator
from .shapes import merge

__all__: list[str] = []


@register
class CastStorage(Identity):
    """The data itself, :math:`y = x`: the storage is dense, whichever is asked for."""

    name = "cast_storage"
    aliases = ("_sparse_cast_storage",)
    stype = Param(Enum("default", "row_sparse", "csr"), doc="Storage of the output, kept in saved files.")
    samples = (Sample((2, 3), stype="row_sparse"),)

    def gradient(self, p, x, y, dy):
        return [dy[0]]


@register
class Retain(Operator):
    r"""The rows of ``data`` that ``indices`` names, zeros in the others: :math:`y_i = x_i [i \in indices]`.

    ``data`` and the output have one shape, ``indices`` is (K,), whole numbers in any element type. Raises MXNetError
    while running for an index outside.
    """

    name = "_sparse_retain"
    inputs = ("data", "indices")
    samples = (Sample((4, 2), (2,), values={1: [0, 3]}, integer=(1,)),)

    def infer_shape(self, p, inputs, outputs):
        data, indices = merge(inputs[0], outputs[0]), inputs[1]
        if indices is not None and len(indices) != 1:
            raise MXNetError(f"indices of _sparse_retain must have one dimension, not the shape {indices}")
        return [data, indices], [data]

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0] or outputs[0]
        return [data, inputs[1]], [data]

    def gradient(self, p, x, y, dy):
        return [apply(self.name, dy[0], x[1]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        return partial(_retain, inputs[0], inputs[1], outputs[0])


def _retain(data: torch.Tensor, indices: torch.Tensor, out: torch.Tensor) -> None:
    rows = indices.long()
    outside = rows[(rows < 0) | (rows >= data.shape[0])]
    if len(outside):
        raise MXNetError(f"_sparse_retain: index {int(outside[0])} is outside the {data.shape[0]} rows")
    out.zero_()
    out[rows] = data[rows]


@register
class SparseEmbedding(Embedding):
    """:class:`Embedding` under the name that it had for tables with sparse gradients."""

    name = "_contrib_SparseEmbedding"
    aliases = ()


# On sparse arrays these leave out what is not stored; of a dense one everything is.
register(Elementwise("_scatter_elemwise_div", (), PAIR_FUNCTIONS["div"]))
for _plain in ("_plus_scalar", "_minus_scalar"):
    _scattered: ScalarOperator = copy(registry.find(_plain))  # type: ignore[assignment]
    _scattered.name, _scattered.aliases = f"_scatter{_plain}", ()
    register(_scattered)
