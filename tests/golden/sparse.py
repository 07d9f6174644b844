"""Calls on sparse arrays: how each result is stored, and what it holds."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["CALLS", "LAZY", "PARTS", "arrays", "observe", "observe_parts", "train_lazily"]

MATRIX = np.array([[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, -1]], "float32")
TABLE = np.array([[0, 0], [1, 2], [0, 0], [3, 4]], "float32")


def arrays(mx: Any) -> SimpleNamespace:
    """What the calls are made on: ``c`` is csr, ``r`` row_sparse, the others are dense."""
    sparse = mx.nd.sparse
    return SimpleNamespace(
        nd=mx.nd,
        sparse=sparse,
        c=sparse.csr_matrix(MATRIX),
        r=sparse.row_sparse_array(TABLE),
        matrix=mx.nd.array(MATRIX),
        table=mx.nd.array(TABLE) + 1,
        right=mx.nd.arange(8).reshape((4, 2)),
        left=mx.nd.arange(6).reshape((3, 2)),
    )


Call = Callable[[SimpleNamespace], Any]

# Ways to make an array, of which the very parts are compared.
PARTS: dict[str, Call] = {
    "csr of dense": lambda a: a.sparse.csr_matrix(MATRIX),
    "csr of integers": lambda a: a.sparse.csr_matrix(MATRIX.astype("int64")),
    "csr of an array, other type": lambda a: a.sparse.csr_matrix(a.matrix, dtype="float16"),
    "csr of parts": lambda a: a.sparse.csr_matrix(([1, 2, 3], [0, 2, 1], [0, 2, 2, 3]), shape=(3, 4)),
    "csr of parts, no shape": lambda a: a.sparse.csr_matrix(([1, 2, 3], [0, 2, 1], [0, 2, 2, 3])),
    "csr of coordinates": lambda a: a.sparse.csr_matrix((np.array([1, 2, 3]), ([2, 0, 0], [1, 2, 0])), shape=(3, 4)),
    "csr of coordinates, no shape": lambda a: a.sparse.csr_matrix((np.array([1, 2, 3]), ([0, 0, 2], [0, 2, 1]))),
    "csr of a shape": lambda a: a.sparse.csr_matrix((3, 4), dtype="int32"),
    "csr of csr": lambda a: a.sparse.csr_matrix(a.c),
    "rows of dense": lambda a: a.sparse.row_sparse_array(TABLE),
    "rows of parts": lambda a: a.sparse.row_sparse_array(([[1, 2], [3, 4]], [1, 3]), shape=(5, 2)),
    "rows of parts, no shape": lambda a: a.sparse.row_sparse_array(([[1, 2], [3, 4]], [1, 3])),
    "rows of parts, out of order": lambda a: a.sparse.row_sparse_array(([[1, 2], [3, 4]], [3, 1]), shape=(5, 2)),
    "rows of a shape": lambda a: a.sparse.row_sparse_array((5, 2, 3), dtype="float64"),
    "rows of rows": lambda a: a.sparse.row_sparse_array(a.r),
    "zeros csr": lambda a: a.sparse.zeros("csr", (2, 3)),
    "zeros rows": lambda a: a.sparse.zeros("row_sparse", (2, 3), dtype="float16"),
    "nd.zeros csr": lambda a: a.nd.zeros((2, 3), stype="csr"),
    "zeros_like csr": lambda a: a.nd.zeros_like(a.c),
    "zeros_like rows": lambda a: a.nd.zeros_like(a.r),
    "array": lambda a: a.sparse.array(a.r, dtype="float16"),
    "nd.array": lambda a: a.nd.array(a.c),
    "astype": lambda a: a.c.astype("float16"),
    "tostype csr": lambda a: a.matrix.tostype("csr"),
    "tostype rows": lambda a: a.matrix.tostype("row_sparse"),
    "copy": lambda a: a.r.copy(),
    "copyto": lambda a: a.c.copyto(a.sparse.zeros("csr", (3, 4), dtype="float64")),
    "copyto from dense": lambda a: a.matrix.copyto(a.sparse.zeros("csr", (3, 4))),
    "row": lambda a: a.c[0],
    "last row": lambda a: a.c[-1],
    "rows": lambda a: a.c[1:3],
    "no rows": lambda a: a.c[2:1],
    "all rows": lambda a: a.c[:],
    "retain": lambda a: a.sparse.retain(a.r, a.nd.array([1, 0])),
    "block": lambda a: a.nd.slice(a.c, begin=(0, 1), end=(2, 3)),
}

CALLS: dict[str, Call] = {
    "to dense": lambda a: a.c.tostype("default"),
    "rows to dense": lambda a: a.r.tostype("default"),
    "cast csr": lambda a: a.nd.cast_storage(a.matrix, "csr"),
    "cast rows": lambda a: a.nd.cast_storage(a.table, "row_sparse"),
    "cast to dense": lambda a: a.nd.cast_storage(a.c, "default"),
    "slice": lambda a: a.c.slice(begin=(1,), end=(3,)),
    "sum": lambda a: a.c.sum(),
    "sum of columns": lambda a: a.c.sum(axis=0),
    "sum of rows": lambda a: a.c.sum(axis=1),
    "mean": lambda a: a.c.mean(axis=0),
    "norm": lambda a: a.c.norm(),
    "transposed": lambda a: a.c.T,
    "square": lambda a: a.c.square(),
    "abs": lambda a: abs(a.c),
    "sign": lambda a: a.c.sign(),
    "sqrt of rows": lambda a: a.r.sqrt(),
    "sin": lambda a: a.nd.sin(a.c),
    "cos": lambda a: a.nd.cos(a.c),
    "exp of rows": lambda a: a.r.exp(),
    "relu": lambda a: a.nd.relu(a.r),
    "clip": lambda a: a.c.clip(-1, 1),
    "negative": lambda a: -a.r,
    "floor": lambda a: a.nd.floor(a.c),
    "log1p": lambda a: a.nd.log1p(a.r),
    "csr + csr": lambda a: a.c + a.c,
    "csr * csr": lambda a: a.c * a.c,
    "rows + rows": lambda a: a.r + a.r,
    "rows - rows": lambda a: a.r - a.r,
    "rows * rows": lambda a: a.r * a.r,
    "rows / rows": lambda a: a.r / a.r,
    "csr + dense": lambda a: a.c + a.matrix,
    "csr * dense": lambda a: a.c * a.matrix,
    "rows + dense": lambda a: a.r + a.table,
    "rows * dense": lambda a: a.r * a.table,
    "dense + rows": lambda a: a.table + a.r,
    "csr + 1": lambda a: a.c + 1,
    "csr * 2": lambda a: a.c * 2,
    "2 * rows": lambda a: 2 * a.r,
    "csr / 2": lambda a: a.c / 2,
    "1 - csr": lambda a: 1 - a.c,
    "csr > 0": lambda a: a.c > 0,
    "sparse.add": lambda a: a.sparse.add(a.r, a.r),
    "sparse.elemwise_add": lambda a: a.sparse.elemwise_add(a.c, a.c),
    "elemwise_mul": lambda a: a.nd.elemwise_mul(a.r, a.table),
    "add_n": lambda a: a.nd.add_n(a.r, a.r),
    "add_n with dense": lambda a: a.nd.add_n(a.r, a.table),
    "broadcast_add": lambda a: a.nd.broadcast_add(a.c, a.nd.ones((1, 4))),
    "dot": lambda a: a.nd.dot(a.c, a.right),
    "dot, transposed": lambda a: a.sparse.dot(a.c, a.left, transpose_a=True),
    "dot, transposed, dense": lambda a: a.sparse.dot(a.c, a.left, transpose_a=True, forward_stype="default"),
    "dot, right transposed": lambda a: a.sparse.dot(a.c, a.nd.ones((2, 4)), transpose_b=True),
    "dot with rows": lambda a: a.sparse.dot(a.c, a.r),
    "dense dot csr": lambda a: a.sparse.dot(a.matrix, a.c, transpose_b=True),
    "dense dot rows": lambda a: a.sparse.dot(a.right.T, a.r),
    "embedding": lambda a: a.nd.Embedding(a.nd.array([1, 0]), a.r, input_dim=4, output_dim=2),
    "assigned": lambda a: _assigned(a.sparse.zeros("row_sparse", (4, 2)), a.right),
    "assigned csr": lambda a: _assigned(a.sparse.zeros("csr", (3, 4)), a.c),
    "sgd_update": lambda a: a.sparse.sgd_update(a.table, a.r, lr=0.1, wd=0.5, out=a.table),
    "sgd_update of all": lambda a: a.sparse.sgd_update(a.table, a.r, lr=0.1, wd=0.5, lazy_update=False, out=a.table),
}


def _assigned(array: Any, value: Any) -> Any:
    array[:] = value
    return array


def observe(call: Call, mx: Any) -> dict[str, Any]:
    """Storage and values of a result."""
    result = call(arrays(mx))
    return {"stype": result.stype, "values": result.asnumpy()}


def observe_parts(call: Call, mx: Any) -> dict[str, Any]:
    """All that a result consists of."""
    result = call(arrays(mx))
    parts = {"stype": result.stype, "shape": list(result.shape), "data": result.data.asnumpy()}
    parts["indices"] = result.indices.asnumpy()
    if result.stype == "csr":
        parts["indptr"] = result.indptr.asnumpy()
    # MXNet gives arrays that store nothing a data array of its own shape.
    return {**parts, "data": parts["data"] if parts["indices"].size else parts["data"].ravel()}


# Optimizers that leave alone the rows that a gradient does not have.
LAZY: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {"learning_rate": 0.1, "wd": 0.5}),
    "momentum": ("sgd", {"learning_rate": 0.1, "wd": 0.5, "momentum": 0.9}),
    "momentum of rows": ("sgd", {"learning_rate": 0.1, "wd": 0.5, "momentum": 0.9}),
    "adam": ("adam", {"learning_rate": 0.1, "wd": 0.5}),
}


def train_lazily(name: str, mx: Any) -> list[np.ndarray]:
    """A table after each of three updates from gradients of some rows."""
    kind, options = LAZY[name]
    updater = mx.optimizer.get_updater(mx.optimizer.create(kind, **options))
    weight = arrays(mx).table
    if name.endswith("of rows"):
        weight = weight.tostype("row_sparse")
    seen = []
    for rows in ([1, 3], [1], [0, 3]):
        gradient = mx.nd.sparse.row_sparse_array((np.full((len(rows), 2), 0.5, "float32"), rows), shape=(4, 2))
        updater(0, gradient, weight)
        seen.append(weight.asnumpy())
    return seen
