"""Loops and branches: their text against MXNet's, their numbers against the same steps written out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError
from symbind.symbol import control_flow

from .control_flow_cases import CASES, build

TEXTS = json.loads((Path(__file__).parent / "control_flow.json").read_text())
contrib, var = mx.sym.contrib, mx.sym.var


@pytest.fixture(autouse=True)
def _names_from_zero(monkeypatch):
    monkeypatch.setattr(control_flow, "_counters", control_flow._Counters())


def flat(value):
    return [item for part in value for item in flat(part)] if isinstance(value, (list, tuple)) else [value]


def check(symbol, expected, shapes, dtype="float64", is_train=True, tolerance=1e-9, seed=0, **values):
    """Outputs and gradients of two symbols of the same arguments; both executors come back."""
    random = np.random.default_rng(seed)
    numbers, heads, executors = dict(values), None, []
    for network in (symbol, expected):
        executor = network.simple_bind(mx.cpu(), type_dict=dict.fromkeys(shapes, dtype), **shapes)
        for name, array in sorted({**executor.arg_dict, **executor.aux_dict}.items()):
            array[:] = numbers.setdefault(name, random.uniform(-1, 1, array.shape))
        for _ in range(2):  # what one run leaves behind must not matter to the next
            mx.random.seed(3)
            outputs = executor.forward(is_train=is_train)
            heads = heads or [random.uniform(-1, 1, y.shape) for y in outputs]
            executor.backward([mx.nd.array(head, dtype=dtype) for head in heads])
        executors.append(executor)
    first, second = executors
    for seen, wanted in zip(first.outputs, second.outputs, strict=True):
        np.testing.assert_allclose(seen.asnumpy(), wanted.asnumpy(), atol=tolerance)
    assert set(first.grad_dict) == set(second.grad_dict)
    for name, wanted in second.grad_dict.items():
        np.testing.assert_allclose(first.grad_dict[name].asnumpy(), wanted.asnumpy(), atol=tolerance, err_msg=name)
    return executors


def written_out(body, steps, data="data", states=("s",)):
    """The loop as a plain graph."""
    rows = mx.sym.split(var(data), num_outputs=steps, axis=0, squeeze_axis=True)
    state, outputs = [var(name) for name in states], []
    for row in rows:
        output, state = body(row, state)
        outputs.append(output)
    return mx.sym.Group([mx.sym.stack(*outputs, axis=0), *state])


# ---- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_text_is_that_of_mxnet(case):
    symbol = build(mx, case)
    assert symbol.tojson() == TEXTS[case.__name__]
    again = mx.sym.load_json(TEXTS[case.__name__])
    assert again.tojson() == TEXTS[case.__name__]
    assert again.list_outputs() == symbol.list_outputs()


def damaged(case, change):
    document = json.loads(TEXTS[case])
    change(next(node for node in document["nodes"] if "subgraphs" in node))
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda node: node.pop("subgraphs"), "_foreach runs 1 graphs of its own, but got 0"),
        (lambda node: node["subgraphs"].append(node["subgraphs"][0]), "runs 1 graphs of its own, but got 2"),
        (lambda node: node.update(subgraphs=["x"]), '"subgraphs" must be a list of objects'),
        (lambda node: node.update(subgraphs=[{}]), 'Missing field "nodes"'),
        (lambda node: node["subgraphs"][0].pop("heads"), 'Missing field "heads"'),
        (lambda node: node["attrs"].update(in_state_locs="[7]"), "must each have one role"),
        (lambda node: node["attrs"].update(num_args="9"), "must each have one role"),
        (lambda node: node["subgraphs"][0]["nodes"][1].update(op="unheard_of"), "unheard_of is not registered"),
        (lambda node: node["attrs"].update(num_outputs="9"), "graph of 2 outputs, but num_outputs=9"),
        (lambda node: node["attrs"].update(num_out_data="0"), "1 states and num_out_data=0, but num_outputs=2"),
    ],
)
def test_damaged_loops_are_refused(change, message):
    with pytest.raises(MXNetError, match=message):
        mx.sym.load_json(damaged("direct_outputs", change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_iterations": "0"}, "must be positive, not 0"),
        ({"func_var_locs": "[9, 0]"}, "must point into func_input_locs"),
        ({"func_input_locs": "[3, 4, 0, 50]"}, "connect them as"),
        ({"cond_input_locs": "[0]"}, "connect them as"),
    ],
)
def test_damaged_while_loops_are_refused(change, message):
    with pytest.raises(MXNetError, match=message):
        mx.sym.load_json(damaged("condition_from_outside", lambda node: node["attrs"].update(change)))


def nested(depth):
    """A loop in a loop in a loop, as text."""
    attrs = {"num_args": 2, "num_outputs": 1, "num_out_data": 1}
    attrs.update(in_data_locs=[0], in_state_locs=[], remain_locs=[])
    rest = f'"attrs": {json.dumps({key: str(value) for key, value in attrs.items()})}, "inputs": [[0, 0, 0]]'
    variable = '{"op": "null", "name": "x", "inputs": []}'
    graph = f'{{"nodes": [{variable}], "arg_nodes": [0], "heads": [[0, 0, 0]]}}'
    for _ in range(depth):
        node = f'{{"op": "_foreach", "name": "loop", {rest}, "subgraphs": [{graph}]}}'
        graph = f'{{"nodes": [{variable}, {node}], "arg_nodes": [0], "heads": [[1, 0, 0]]}}'
    return graph


def test_loops_nested_too_deeply():
    assert mx.sym.load_json(nested(5)).simple_bind(mx.cpu(), x=(2,) * 6).forward()[0].shape == (2,) * 6
    with pytest.raises(MXNetError, match=r"nested too deeply|recursion"):
        mx.sym.load_json(nested(2000))


# ---- foreach -------------------------------------------------------------------------------------------------------


I2H, H2H, BIAS = var("i2h"), var("h2h"), var("bias")


def recurrent(d, s):
    hidden = mx.sym.FullyConnected(d, I2H, num_hidden=3, no_bias=True)
    hidden = hidden + mx.sym.FullyConnected(s[0], H2H, BIAS, num_hidden=3)
    y = mx.sym.tanh(hidden)
    return y * 2, [y]


SHAPES = {"data": (4, 2, 5), "s": (2, 3), "i2h": (3, 5), "h2h": (3, 3), "bias": (3,)}


def loop(body, states=("s",), **kwargs):
    return mx.sym.Group(flat(contrib.foreach(body, var("data"), [var(name) for name in states], **kwargs)))


@pytest.mark.parametrize("is_train", [False, True])
def test_foreach_is_its_steps(is_train):
    check(loop(recurrent), written_out(recurrent, 4), SHAPES, is_train=is_train)


def test_foreach_from_a_file():
    symbol = mx.sym.load_json(loop(recurrent).tojson())
    check(symbol, written_out(recurrent, 4), SHAPES)


def test_gradients_are_added_where_asked():
    executor = loop(recurrent).simple_bind(mx.cpu(), grad_req="add", **SHAPES)
    executor.arg_dict["h2h"][:] = 0.3
    heads = [mx.nd.ones(y.shape) for y in executor.forward(is_train=True)]
    executor.backward(heads)
    once = executor.grad_dict["bias"].asnumpy()
    executor.backward(heads)
    np.testing.assert_allclose(executor.grad_dict["bias"].asnumpy(), 2 * once, rtol=1e-5)


def test_values_computed_outside():
    def network(make):
        scale = mx.sym.exp(var("w"))
        return make(lambda d, s: (d * scale + s[0], [s[0] * scale]))

    shapes = {"data": (3, 2), "s": (2,), "w": (2,)}
    check(network(loop), network(lambda body: written_out(body, 3)), shapes)


def test_nested_foreach():
    def outer(inner_loop):
        def body(d, s):
            y, t = inner_loop(lambda e, u: (e * u[0] + s[0], [u[0] + e]), d, s)
            return y, [t[0] * 0.5]

        return body

    def inner_written_out(body, d, s):
        outputs = []
        for row in mx.sym.split(d, num_outputs=2, axis=0, squeeze_axis=True):
            y, s = body(row, s)
            outputs.append(y)
        return mx.sym.stack(*outputs, axis=0), s

    shapes = {"data": (3, 2, 4), "s": (4,)}
    check(loop(outer(contrib.foreach)), written_out(outer(inner_written_out), 3), shapes)


def test_random_numbers_are_drawn_for_each_step_and_the_same_for_the_gradient():
    symbol = loop(lambda d, s: (mx.sym.Dropout(d, p=0.5), [s[0] + d]))
    executor = symbol.simple_bind(mx.cpu(), data=(50, 40), s=(40,))
    executor.arg_dict["data"][:] = 1.0
    masks = executor.forward(is_train=True)[0].asnumpy()
    assert set(np.unique(masks)) == {0.0, 2.0}
    assert (masks[0] != masks[1]).any()
    executor.backward([mx.nd.ones((50, 40)), mx.nd.zeros((40,))])
    np.testing.assert_array_equal(executor.grad_dict["data"].asnumpy(), masks)
    assert (executor.forward(is_train=True)[0].asnumpy() != masks).any()
    mx.random.seed(1)
    first = executor.forward(is_train=True)[0].asnumpy()
    mx.random.seed(1)
    np.testing.assert_array_equal(executor.forward(is_train=True)[0].asnumpy(), first)


def test_auxiliary_states_inside():
    def body(d, s):
        return mx.sym.BatchNorm(d, name="bn", fix_gamma=False, momentum=0.5), [s[0] + 1]

    symbol = loop(body)
    assert symbol.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    executor = symbol.simple_bind(mx.cpu(), data=(1, 6, 2), s=(1,))
    data = np.random.default_rng(0).normal(size=(1, 6, 2)).astype("float32")
    executor.arg_dict["bn_gamma"][:] = 1
    executor.forward(is_train=True, data=data)
    executor.backward([mx.nd.ones((1, 6, 2)), mx.nd.zeros((1,))])
    mean = executor.aux_dict["bn_moving_mean"].asnumpy()
    np.testing.assert_allclose(mean, data[0].mean(0) / 2, rtol=1e-5, atol=1e-6)
    inferred = executor.forward(is_train=False)[0].asnumpy()
    var_ = executor.aux_dict["bn_moving_var"].asnumpy()
    np.testing.assert_allclose(inferred[0], (data[0] - mean) / np.sqrt(var_ + 1e-3), rtol=1e-4, atol=1e-5)


def test_whole_numbers_have_no_gradient():
    symbol = loop(lambda d, s: (d * 2.0, [s[0] + 1]))
    executor = symbol.simple_bind(mx.cpu(), data=(3, 2), s=(1,), type_dict={"data": "float32", "s": "int32"})
    executor.forward(is_train=True)
    executor.backward([mx.nd.ones((3, 2)), mx.nd.ones((1,), dtype="int32")])
    assert executor.outputs[1].asnumpy().tolist() == [3]
    assert executor.grad_dict["data"].asnumpy().tolist() == [[2, 2]] * 3
    assert executor.grad_dict["s"].asnumpy().tolist() == [0]


def test_inference_of_foreach():
    symbol = loop(recurrent)
    arguments, outputs, _ = symbol.infer_shape(data=(4, 2, 5))
    assert dict(zip(symbol.list_arguments(), arguments)) == SHAPES
    assert outputs == [(4, 2, 3), (2, 3)]
    assert symbol.infer_shape_partial()[1][0] in ((), (0, 0, 3))
    assert [t.__name__ for t in symbol.infer_type(data="float16")[1]] == ["float16"] * 2
    with pytest.raises(MXNetError, match=r"Error in operator _foreach\d+"):
        symbol.infer_shape(data=(4, 2, 5), s=(2, 7))
    with pytest.raises(MXNetError, match="state of type"):
        loop(lambda d, s: (d, [mx.sym.cast(s[0] + d, dtype="float64")])).infer_type(data="float32")


def test_formats():
    data, state = var("data"), var("s")
    outputs, states = contrib.foreach(lambda d, s: ([d, [s, d]], s), data, state)
    assert isinstance(states, mx.sym.Symbol)
    assert [isinstance(outputs[0], mx.sym.Symbol), len(outputs[1])] == [True, 2]
    parts = mx.sym.split(data, num_outputs=2)
    outputs, states = contrib.foreach(lambda d, s: (d[0] + d[1], [s[0]]), parts, [state])
    assert isinstance(outputs, mx.sym.Symbol)
    assert len(states) == 1


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (lambda d, s: (d, [s, s]), ValueError, "have different format"),
        (lambda d, s: (3, s), TypeError, "foreach output must be .* but got 3"),
        (lambda d, s: (s, s), AssertionError, "the data arrays have to be used in the loop body"),
        (lambda d, s: (d, d), AssertionError, "the state arrays have to be used in the loop body"),
    ],
)
def test_bodies_that_cannot_be(body, error, message):
    with pytest.raises(error, match=message):
        contrib.foreach(body, var("data"), var("s"))


def test_data_that_cannot_be():
    with pytest.raises(TypeError, match="foreach input must be"):
        contrib.foreach(lambda d, s: (d, s), 3, var("s"))
    with pytest.raises(MXNetError, match="runs 1 graphs of its own, but got 0"):
        places = {"in_data_locs": (0,), "in_state_locs": (), "remain_locs": ()}
        mx.nd._internal._foreach(mx.nd.ones((2,)), num_args=2, num_outputs=1, num_out_data=1, **places)


# ---- while_loop ----------------------------------------------------------------------------------------------------


def growing(limit=3.0, most=5):
    w = var("w")
    outputs, final = contrib.while_loop(
        lambda i, s: i < limit,
        lambda i, s: ([i + s * w, s], [i + 1, s * s + i]),
        [var("i"), var("s")],
        max_iterations=most,
    )
    return mx.sym.Group([*outputs, *final])


def growing_written_out(steps, most=5):
    i, s, w = var("i"), var("s"), var("w")
    nothing = mx.sym.zeros_like(s)
    first, second = [], []
    for _ in range(steps):
        first.append(i + s * w)
        second.append(s)
        i, s = i + 1, s * s + i
    rest = [nothing] * (most - steps)
    return mx.sym.Group([mx.sym.stack(*first, *rest), mx.sym.stack(*second, *rest), i, s])


@pytest.mark.parametrize("start", [2.0, 0.0, -4.0])
def test_while_loop_is_its_steps(start):
    steps = min(int(3 - start), 5)
    shapes = {"i": (1,), "s": (1,), "w": (1,)}
    check(growing(), growing_written_out(steps), shapes, i=start, s=0.7)


def test_a_loop_of_no_steps():
    executor = growing().simple_bind(mx.cpu(), i=(1,), s=(1,), w=(1,))
    executor.arg_dict["i"][:], executor.arg_dict["s"][:] = 7, 2
    executor.forward(is_train=True)
    assert [y.asnumpy().ravel().tolist() for y in executor.outputs] == [[0] * 5, [0] * 5, [7], [2]]
    executor.backward([mx.nd.ones(y.shape) for y in executor.outputs])
    assert {name: g.asnumpy().tolist() for name, g in executor.grad_dict.items()} == {"i": [1], "s": [1], "w": [0]}


def test_the_condition_may_read_what_is_outside():
    x = var("x")
    outputs, final = contrib.while_loop(
        lambda s: mx.sym.sum(s) < x * 2, lambda s: (s, s + x), var("s"), max_iterations=8
    )
    executor = mx.sym.Group([outputs, final]).simple_bind(mx.cpu(), s=(1,), x=(1,))
    executor.arg_dict["x"][:] = 3
    executor.forward(is_train=True)
    assert executor.outputs[0].asnumpy().ravel().tolist() == [0, 3, 0, 0, 0, 0, 0, 0]
    executor.backward([mx.nd.zeros((8, 1)), mx.nd.ones((1,))])
    assert executor.grad_dict["x"].asnumpy().tolist() == [2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda i: ((lambda i: i), (lambda i: (i, i + 1)), i, None), ValueError, "max_iterations should be specified"),
        (lambda i: ((lambda i: 3), (lambda i: (i, i + 1)), i, 3), ValueError, "must be a Symbol, not int"),
        (lambda i: ((lambda i: i), (lambda i: (i, [i, i])), i, 3), ValueError, "should be consistent during the loop"),
        (lambda i: ((lambda: i), (lambda: (i, [])), [], 3), ValueError, "at least one element"),
        (lambda i: ((lambda i: i), (lambda i: (i, var("j"))), 5, 3), TypeError, "loop_vars must be"),
        (
            lambda i: ((lambda i, s: i < 3), (lambda i, s: (i, [i + 1, i])), [i, var("s")], 3),
            ValueError,
            "The 2-th loop_var doesn't involve into the computation",
        ),
    ],
)
def test_while_loops_that_cannot_be(call, error, message):
    condition, body, variables, most = call(var("i"))
    with pytest.raises(error, match=message):
        contrib.while_loop(condition, body, variables, max_iterations=most)


def test_a_condition_of_several_numbers():
    _, final = contrib.while_loop(lambda i: i < 3, lambda i: (None, i + 1), var("i"), max_iterations=3)
    with pytest.raises(MXNetError, match="must be one number"):
        final.simple_bind(mx.cpu(), i=(2,))


# ---- cond ----------------------------------------------------------------------------------------------------------


def test_cond_takes_one_branch():
    a, b = var("a"), var("b")
    symbol = contrib.cond(mx.sym.sum(a * b) < 5, lambda: (a + 5) * (b + 5), lambda: (a - 5) * (b - 5))
    shapes = {"a": (1,), "b": (1,)}
    check(symbol, (a + 5) * (b + 5), shapes, a=1.0, b=2.0)
    check(symbol, (a - 5) * (b - 5), shapes, a=3.0, b=2.0)


def test_the_other_branch_is_not_computed():
    x = var("x")
    symbol = contrib.cond(x > 0, lambda: mx.sym.log(x), lambda: mx.sym.log(-x))
    executor = symbol.simple_bind(mx.cpu(), x=(1,))
    for number in (2.0, -2.0):
        executor.forward(is_train=True, x=np.array([number], "float32"))
        executor.backward(mx.nd.ones((1,)))
        np.testing.assert_allclose(executor.outputs[0].asnumpy(), [np.log(2)], rtol=1e-6)
        np.testing.assert_allclose(executor.grad_dict["x"].asnumpy(), [1 / number], rtol=1e-6)


def test_branches_in_a_loop():
    def body(d, s):
        y = contrib.cond(s[0] < 1, lambda: d * s[0], lambda: d - s[0])
        return y, [s[0] + y]

    executor = loop(body).simple_bind(mx.cpu(), data=(4, 1), s=(1,))
    executor.forward(is_train=True, data=np.array([[1], [2], [3], [4]], "float32"), s=np.array([0.5], "float32"))
    # 0.5 -> 1·0.5, 1 -> 2-1, 2 -> 3-2, 3 -> 4-3
    assert executor.outputs[0].asnumpy().ravel().tolist() == [0.5, 1, 1, 1]
    executor.backward([mx.nd.ones((4, 1)), mx.nd.zeros((1,))])
    # y0 = d0·s, and then y = d - s, so that the state is the last row of the data.
    np.testing.assert_allclose(executor.grad_dict["data"].asnumpy().ravel(), [-0.0, 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(executor.grad_dict["s"].asnumpy(), [-1.0], atol=1e-6)


def test_branches_share_a_seed_with_their_gradient():
    x = var("x")
    symbol = contrib.cond(var("p"), lambda: mx.sym.Dropout(x, p=0.5), lambda: x)
    executor = symbol.simple_bind(mx.cpu(), x=(200,), p=(1,))
    executor.arg_dict["x"][:], executor.arg_dict["p"][:] = 1.0, 1.0
    mask = executor.forward(is_train=True)[0].asnumpy()
    assert set(np.unique(mask)) == {0.0, 2.0}
    executor.backward(mx.nd.ones((200,)))
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), mask)


def test_branches_that_cannot_be():
    x = var("x")
    with pytest.raises(ValueError, match="Number of outputs differs"):
        contrib.cond(x, lambda: [x, x], lambda: x)
    with pytest.raises(TypeError, match="cond pred output must be .* but got 3"):
        contrib.cond(3, lambda: x, lambda: x)
    with pytest.raises(MXNetError, match="_cond"):
        contrib.cond(var("p"), lambda: x, lambda: var("y")).infer_shape(x=(2,), y=(3,), p=(1,))


# ---- arrays --------------------------------------------------------------------------------------------------------


def test_foreach_of_arrays():
    data, state = mx.nd.array([[1, 2], [3, 4]]), mx.nd.zeros((2,))
    outputs, final = mx.nd.contrib.foreach(lambda d, s: (d + s, s + d), data, state)
    assert outputs.asnumpy().tolist() == [[1, 2], [4, 6]]
    assert final.asnumpy().tolist() == [4, 6]
    outputs, final = mx.nd.contrib.foreach(lambda d, s: ([d[0] + d[1], [s[0]]], [s[0] + d[0]]), [data, data], [state])
    assert outputs[0].asnumpy().tolist() == [[2, 4], [6, 8]]
    assert outputs[1][0].asnumpy().tolist() == [[0, 0], [1, 2]]
    with pytest.raises(ValueError, match="one length"):
        mx.nd.contrib.foreach(lambda d, s: (d[0], s), [data, mx.nd.ones((3, 2))], state)
    with pytest.raises(ValueError, match="different format"):
        mx.nd.contrib.foreach(lambda d, s: (d, [s, s]), data, state)
    with pytest.raises(TypeError, match="foreach input"):
        mx.nd.contrib.foreach(lambda d, s: (d, s), 3, state)


def test_while_loop_of_arrays():
    def run(start):
        return mx.nd.contrib.while_loop(
            lambda i, s: i < 3,
            lambda i, s: ([i + s, s], [i + 1, s + i]),
            [mx.nd.array([start]), mx.nd.array([2])],
            max_iterations=5,
        )

    outputs, final = run(0)
    assert [y.asnumpy().ravel().tolist() for y in outputs] == [[2, 3, 5, 0, 0], [2, 2, 3, 0, 0]]
    assert [v.asnumpy().tolist() for v in final] == [[3], [5]]
    outputs, final = run(9)
    assert outputs == []
    assert [v.asnumpy().tolist() for v in final] == [[9], [2]]
    one = mx.nd.array([0])
    outputs, final = mx.nd.contrib.while_loop(lambda i: i < 3, lambda i: (None, i + 1), one, max_iterations=2)
    assert (outputs, final.asnumpy().tolist()) == ([], [2])
    with pytest.raises(ValueError, match="max_iterations"):
        mx.nd.contrib.while_loop(lambda i: i < 3, lambda i: (i, i + 1), one)
    with pytest.raises(ValueError, match="length of loop_vars"):
        mx.nd.contrib.while_loop(lambda i: i < 3, lambda i: (i, [i, i]), one, max_iterations=2)
    with pytest.raises(ValueError, match="at least one"):
        mx.nd.contrib.while_loop(lambda: one, lambda: (one, []), [], max_iterations=2)


def test_cond_of_arrays():
    yes, no = mx.nd.array([5]), mx.nd.array([6])
    assert mx.nd.contrib.cond(mx.nd.array([1]), lambda: yes, lambda: no) is yes
    assert mx.nd.contrib.cond(mx.nd.array([0]), lambda: yes, lambda: no) is no
    with pytest.raises(ValueError, match="not a scalar"):
        mx.nd.contrib.cond(mx.nd.array([1, 2]), lambda: yes, lambda: no)


def test_loops_over_single_numbers_see_arrays_of_one():
    data, state = np.array([2.0, -1, 3]), np.array([0.5])
    x, s = mx.sym.var("data"), mx.sym.var("state")
    (products,), (final,) = mx.sym.contrib.foreach(lambda d, s: ([d[0] * s[0]], [s[0] * 2]), [x], [s])
    executor = mx.sym.Group([products, final]).simple_bind(mx.cpu(), data=(3,), state=(1,))
    outputs = executor.forward(is_train=True, data=data, state=state)
    assert [output.asnumpy().tolist() for output in outputs] == [[[1], [-1], [6]], [4]]
    executor.backward([mx.nd.ones((3, 1)), mx.nd.zeros(1)])
    assert executor.grad_dict["data"].asnumpy().tolist() == [0.5, 1, 2]
    assert executor.grad_dict["state"].asnumpy().tolist() == [2 - 2 + 12]


def test_gradients_go_through_loops_over_arrays():
    """Recorded, they are those of the bound loop; a state that is also an output has both."""
    data, scale = np.arange(6.0).reshape(3, 2), np.array([0.5, -2])

    def step(x, states):
        state = x * states[0] + states[0]
        return state, [state]

    def doubling(i, x):
        return x, (i + 1, x * x)

    arrays = {"data": mx.nd.array(data), "scale": mx.nd.array(scale)}
    for array in arrays.values():
        array.attach_grad()
    with mx.autograd.record():
        loop, final = mx.nd.contrib.foreach(step, arrays["data"], [arrays["scale"]])
        powers, last = mx.nd.contrib.while_loop(
            lambda i, x: i < 2, doubling, [mx.nd.zeros(1), arrays["scale"]], max_iterations=4
        )
        total = loop.sum() + 2 * final[0].sum() + powers.sum() + last[1].sum()
    total.backward()

    x, s = mx.sym.var("data"), mx.sym.var("scale")
    loop, final = mx.sym.contrib.foreach(step, x, [s])
    powers, last = mx.sym.contrib.while_loop(lambda i, x: i < 2, doubling, [mx.sym.var("i"), s], max_iterations=4)
    network = mx.sym.sum(loop) + 2 * mx.sym.sum(final[0]) + mx.sym.sum(powers) + mx.sym.sum(last[1])
    executor = network.simple_bind(mx.cpu(), data=(3, 2), scale=(2,), i=(1,))
    np.testing.assert_allclose(
        executor.forward(is_train=True, data=data, scale=scale)[0].asnumpy(), total.asnumpy(), rtol=1e-5
    )
    executor.backward(mx.nd.ones(1))
    for name, array in arrays.items():
        np.testing.assert_allclose(executor.grad_dict[name].asnumpy(), array.grad.asnumpy(), rtol=1e-5)
