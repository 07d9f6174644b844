"""Operators that a single bound call does not show: those of arrays only, of sparse storage, of loops, of users.

A program is a function of ``mx``, whichever system that is, and returns arrays. ``covers`` names its operators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .pictures import picture, png

__all__ = ["PROGRAMS", "Program", "observe_program"]


@dataclass(frozen=True)
class Program:
    """``run(mx)`` returns one array or a list of arrays."""

    covers: tuple[str, ...]
    run: Callable[[Any], Any]


PROGRAMS: dict[str, Program] = {}


def program(*covers: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Add a function to :data:`PROGRAMS`."""

    def add(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        PROGRAMS[run.__name__] = Program(covers, run)
        return run

    return add


def observe_program(mx: Any, name: str) -> list[np.ndarray]:
    """What the program returns, as a list of NumPy arrays."""
    results = PROGRAMS[name].run(mx)
    results = results if isinstance(results, (list, tuple)) else [results]
    return [array.asnumpy() if hasattr(array, "asnumpy") else np.asarray(array) for array in results]


def trained(mx: Any, symbol: Any, values: dict[str, Any]) -> list[Any]:
    """Outputs of a symbol for ``values``, and the gradients of all its arguments for ones at its heads."""
    arguments = {name: mx.nd.array(values[name]) for name in symbol.list_arguments()}
    gradients = {name: mx.nd.zeros(array.shape) for name, array in arguments.items()}
    executor = symbol.bind(mx.cpu(), arguments, gradients)
    outputs = executor.forward(is_train=True)
    executor.backward([mx.nd.ones(output.shape) for output in outputs])
    return [*outputs, *gradients.values()]


# ---- arrays that are filled ---------------------------------------------------------------------


@program("_set_value")
def set_value(mx: Any) -> Any:
    half, whole = mx.nd.ones((2, 3), dtype="float16"), mx.nd.ones((2,), dtype="int32")
    mx.nd._internal._set_value(2.5, out=half)
    mx.nd._internal._set_value(7, out=whole)
    return [half, whole]


@program("_onehot_encode")
def onehot_encode(mx: Any) -> Any:
    out = mx.nd.ones((3, 4))
    return [mx.nd.onehot_encode(mx.nd.array([2, 0, 3]), out), out]


@program("fill_element_0index")
def fill_element(mx: Any) -> Any:
    data = mx.nd.array(np.arange(6).reshape(3, 2))
    return [mx.nd.fill_element_0index(data, mx.nd.array([7, 8, 9]), mx.nd.array([1, 0, 1])), data]


@program("_copyto")
def copy_to(mx: Any) -> Any:
    target = mx.nd.zeros((2, 2), dtype="float64")
    mx.nd._internal._copyto(mx.nd.array([[1, 2.5], [-3, 4]]), out=target)
    return target


# ---- images -------------------------------------------------------------------------------------


@program("_cvimdecode")
def decode(mx: Any) -> Any:
    data = mx.nd.array(np.frombuffer(png(picture()), np.uint8), dtype="uint8")
    run = mx.nd._internal._cvimdecode
    return [run(data), run(data, to_rgb=False), run(data, flag=1)]


@program("_cvimresize")
def resize_image(mx: Any) -> Any:
    image = mx.nd.array(picture(shape=(6, 8, 3)), dtype="uint8")
    return [mx.nd._internal._cvimresize(image, w=w, h=h, interp=0) for w, h in ((4, 3), (16, 12))]


@program("_cvcopyMakeBorder")
def frame_image(mx: Any) -> Any:
    image = mx.nd.array(picture(shape=(3, 4, 3)), dtype="uint8")
    sides = {"top": 1, "bot": 2, "left": 3, "right": 0}
    kinds = [mx.nd._internal._cvcopyMakeBorder(image, **sides, type=kind) for kind in (0, 1, 2, 4)]
    return [*kinds, mx.nd._internal._cvcopyMakeBorder(image, **sides, value=9)]


# ---- sparse storage -----------------------------------------------------------------------------

ROWS = np.array([[0, 0, 0], [1, -2, 3], [0, 0, 0], [0.5, 0, -1]], "float32")


@program("cast_storage")
def cast_storage(mx: Any) -> Any:
    data = mx.nd.array(ROWS)
    kinds = ("default", "row_sparse", "csr")
    bound = [trained(mx, mx.sym.cast_storage(mx.sym.var("x"), stype="default"), {"x": ROWS})]
    return [mx.nd.cast_storage(data, stype=kind) for kind in kinds] + bound[0]


@program("_sparse_retain")
def retain(mx: Any) -> Any:
    rows = mx.nd.cast_storage(mx.nd.array(ROWS), stype="row_sparse")
    return [mx.nd.sparse.retain(rows, mx.nd.array(keep, dtype="int64")) for keep in ([1], [0, 3])]


@program("_square_sum")
def square_sum(mx: Any) -> Any:
    rows = mx.nd.cast_storage(mx.nd.array(ROWS), stype="row_sparse")
    run = mx.nd._internal._square_sum
    return [run(rows, axis=1), run(rows, axis=1, keepdims=True), run(rows, axis=0)]


# ---- loops and branches -------------------------------------------------------------------------

STEPS = np.array([[1, -2], [0.5, 3], [-1, 0.25]], "float32")


@program("_foreach")
def foreach(mx: Any) -> Any:
    weight = mx.sym.var("w")
    outputs, state = mx.sym.contrib.foreach(
        lambda d, s: (d * weight + s, s + d * d), mx.sym.var("data"), mx.sym.var("state")
    )
    return trained(mx, mx.sym.Group([outputs, state]), {"data": STEPS, "state": [0.5, 1], "w": [2, -1]})


@program("_while_loop")
def while_loop(mx: Any) -> Any:
    def body(count: Any, total: Any) -> Any:
        total = total * total + 0.5
        return total, [count + 1, total]

    outputs, variables = mx.sym.contrib.while_loop(
        lambda count, total: count < 3, body, [mx.sym.var("count"), mx.sym.var("total")], max_iterations=5
    )
    # Rows beyond the last step are not written.
    heads = [mx.sym.slice_axis(outputs, axis=0, begin=0, end=3), *variables]
    return trained(mx, mx.sym.Group(heads), {"count": [0], "total": [0.3]})


@program("_cond")
def cond(mx: Any) -> Any:
    a, b = mx.sym.var("a"), mx.sym.var("b")
    branch = mx.sym.contrib.cond(a * b < 5, lambda: (a + 5) * (b + 5), lambda: (a - 5) * (b - 5))
    return [
        array for values in ((1, 2), (3, 4)) for array in trained(mx, branch, dict(zip("ab", [[v] for v in values])))
    ]


@program()
def loops_on_arrays(mx: Any) -> Any:
    data, state = mx.nd.array(STEPS), mx.nd.array([0.5, 1])
    outputs, last = mx.nd.contrib.foreach(lambda d, s: (d + s, s * 2), data, state)
    stacked, variables = mx.nd.contrib.while_loop(
        lambda i, s: i < 3, lambda i, s: (s + i, [i + 1, s + i]), [mx.nd.array([0]), mx.nd.array([1])], max_iterations=4
    )
    picked = mx.nd.contrib.cond(state.sum() > 1, lambda: state + 1, lambda: state - 1)
    return [outputs, last, stacked.slice_axis(axis=0, begin=0, end=3), *variables, picked]


# ---- functions of several operators -------------------------------------------------------------


@program()
def kinds_of_numbers(mx: Any) -> Any:
    data = mx.nd.array([[1, np.nan, np.inf], [-np.inf, 0, 2]])
    halves, whole = data.astype("float16"), mx.nd.array([1, 2], dtype="int32")
    return [
        run(x)
        for run in (mx.nd.contrib.isnan, mx.nd.contrib.isinf, mx.nd.contrib.isfinite)
        for x in (data, halves, whole)
    ]


@program()
def expected_candidates(mx: Any) -> Any:
    sampled, of_true, of_sampled = mx.nd.contrib.rand_zipfian(mx.nd.array([[3, 0, 99]]), 4, 100)
    with mx.name.NameManager():  # names are counted from 0, whatever was made before
        symbols = mx.sym.contrib.rand_zipfian(mx.sym.var("true"), 4, 100)
    executor = symbols[1].bind(mx.cpu(), {"true": mx.nd.array([[3, 0, 99]])})
    texts = [np.frombuffer(symbol.tojson().encode(), np.uint8) for symbol in symbols]
    return [of_true, executor.forward()[0], mx.nd.zeros(sampled.shape, dtype=sampled.dtype), of_sampled * 0, *texts]


@program()
def steps_of_adamw(mx: Any) -> Any:
    def arrays(dtype: str) -> list[Any]:
        numbers = ([1, 2.0], [0.1, -0.2], [0.01, 0], [0.1, 0.2])
        return [mx.nd.array(each, dtype=dtype) for each in numbers]

    weight, _, mean, var = arrays("float32")
    for rescale in (0.5, mx.nd.array([0.25]), np.inf):
        grad = arrays("float32")[1]  # MXNet scales it in place
        mx.nd.contrib.adamw_update(weight, grad, mean, var, rescale, lr=0.1, eta=0.5, wd=0.01, out=weight)
    two = list(zip(arrays("float32"), arrays("float32")))
    rates = {"lrs": [0.1, 0.2], "wds": [0, 0.01]}
    mx.nd.contrib.multi_adamw_update(*two, 0.5, etas=[1, 0.5], out=list(two[0]), **rates)
    others = list(zip(arrays("float32"), arrays("float32")))
    mx.nd.contrib.multi_lamb_update(*others, step_count=[1, 2], out=list(others[0]), **rates)
    return [weight, mean, var, *two[0], *two[2], *others[0], *others[2]]


# ---- operators of users -------------------------------------------------------------------------


@program("Custom")
def custom(mx: Any) -> Any:
    class Softplus(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            self.assign(out_data[0], req[0], mx.nd.log(1 + mx.nd.exp(in_data[0])))

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            self.assign(in_grad[0], req[0], out_grad[0] * (1 - mx.nd.exp(-out_data[0])))

    @mx.operator.register("recorded_softplus")
    class SoftplusProp(mx.operator.CustomOpProp):
        def create_operator(self, ctx, shapes, dtypes):
            return Softplus()

    x = mx.sym.var("x")
    return trained(mx, mx.sym.Custom(x * 2, op_type="recorded_softplus") * x, {"x": STEPS})
