"""Networks with loops and branches, for MXNet to write down and for this package to write alike. Imports neither.

Run by an interpreter that has MXNet 1.9.1, this file prints their JSON texts, which ``control_flow.json`` holds.
"""

from __future__ import annotations

import json
from typing import Any


def direct_outputs(mx: Any) -> Any:
    return mx.sym.contrib.foreach(lambda d, s: (d, [s[0]]), mx.sym.var("data"), [mx.sym.var("s")])


def output_that_is_a_state(mx: Any) -> Any:
    def body(d, s):
        y = d + s
        return [y, y], y

    return mx.sym.contrib.foreach(body, mx.sym.var("data"), mx.sym.var("s"))


def values_from_outside(mx: Any) -> Any:
    x = mx.sym.var("x", shape=(2,), lr_mult=2.0)
    y = x * 2
    return mx.sym.contrib.foreach(lambda d, s: (d * x + y, s + y), mx.sym.var("data"), mx.sym.var("s"))


def several_outputs(mx: Any) -> Any:
    parts = mx.sym.split(mx.sym.var("x"), num_outputs=2, axis=0, name="parts")
    return mx.sym.contrib.foreach(lambda d, s: (d * parts[1], s + parts[0]), parts[1], parts[0])


def nested_loops(mx: Any) -> Any:
    w = mx.sym.var("w")

    def body(d, s):
        return mx.sym.contrib.foreach(lambda e, u: (e * w + s, u + s * 2), d, s)

    return mx.sym.contrib.foreach(body, mx.sym.var("data"), mx.sym.var("s"))


def layers(mx: Any) -> Any:
    def body(d, s):
        y = mx.sym.FullyConnected(d, num_hidden=3, name="fc")
        return [mx.sym.Activation(y + s[0], act_type="tanh")], [y * s[1], s[1] + 1]

    states = [mx.sym.var("s"), mx.sym.var("t")]
    with mx.AttrScope(ctx_group="one"):
        return mx.sym.contrib.foreach(body, mx.sym.var("data"), states, name="steps")


def normalized(mx: Any) -> Any:
    return mx.sym.contrib.foreach(
        lambda d, s: (mx.sym.BatchNorm(d, name="bn"), s + 1), mx.sym.var("data"), mx.sym.var("s")
    )


def no_states(mx: Any) -> Any:
    return mx.sym.contrib.foreach(lambda d, s: ([d[0] * 2, d[1]], []), [mx.sym.var("a"), mx.sym.var("b")], [])


def condition_from_outside(mx: Any) -> Any:
    x = mx.sym.var("x")
    y = x * 3

    def func(i, s):
        return s * x, [i + 1, s + y * i]

    return mx.sym.contrib.while_loop(
        lambda i, s: i < y + x, func, [mx.sym.var("i"), mx.sym.var("s")], max_iterations=4
    )


def no_outputs(mx: Any) -> Any:
    return mx.sym.contrib.while_loop(lambda i: i < 3, lambda i: (None, [i + 1]), [mx.sym.var("i")], max_iterations=3)


def branches(mx: Any) -> Any:
    x, p = mx.sym.var("x"), mx.sym.var("p")
    y = x * 2
    return mx.sym.contrib.cond(p, lambda: [y, x], lambda: [x * y, mx.sym.var("z")])


def nested_branches(mx: Any) -> Any:
    a = mx.sym.var("a")
    return mx.sym.contrib.cond(
        a < 1, lambda: mx.sym.contrib.cond(a < 0, lambda: a * 2, lambda: a * 3, name="inner"), lambda: a, name="outer"
    )


CASES = [
    direct_outputs, output_that_is_a_state, values_from_outside, several_outputs, nested_loops, layers, normalized,
    no_states, condition_from_outside, no_outputs, branches, nested_branches,
]  # fmt: skip


def build(mx: Any, case: Any) -> Any:
    """The network with automatic names counted from zero, all its outputs in one group."""

    def flat(value: Any) -> list[Any]:
        return [item for part in value for item in flat(part)] if isinstance(value, (list, tuple)) else [value]

    with mx.name.NameManager():
        return mx.sym.Group(flat(case(mx)))


if __name__ == "__main__":
    import sys

    import numpy

    numpy.bool = bool  # of which MXNet still makes use
    import mxnet

    texts = {}
    for case in CASES:
        mxnet.AttrScope._subgraph_names.clear()
        texts[case.__name__] = build(mxnet, case).tojson()
    json.dump(texts, sys.stdout, indent=0)
