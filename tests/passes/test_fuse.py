"""Fusing on graphs of a few nodes, with patterns of a toy engine."""

import pytest

import symbind as mx
from symbind.graph.node import Entry, Node, execution_order
from symbind.graph.registry import find
from symbind.ops.operator import Operator
from symbind.passes.fuse import Fusion, Pattern, fuse


class ExpThenNegate(Operator):
    """The last two of a chain in one; shows what the first gave as a second output if asked to."""

    def __init__(self, outputs):
        self.name = "_toy_exp_negative"
        self.count = outputs

    def num_outputs(self, p):
        return self.count


def negative_of_exp(give_inner=False):
    def rewrite(node, users):
        before = node.inputs[0].node
        if before.is_variable or before.op.name != "exp":
            return None
        op = ExpThenNegate(2 if give_inner else 1)
        fused = Node(op, node.name, None, before.inputs, op.parse({}), node.serial)
        inner = {Entry(before): Entry(fused, 1)} if give_inner else {}
        return Fusion([before, node], {Entry(node): Entry(fused), **inner})

    return Pattern(("negative",), rewrite)


def operators(entries):
    return [node.op.name for node in execution_order(entries) if not node.is_variable]


def fused(*symbols, patterns=None):
    entries = [entry for symbol in symbols for entry in symbol.entries]
    return fuse(entries, [negative_of_exp()] if patterns is None else patterns)


x = mx.sym.var("x")


def test_two_nodes_become_one_which_reads_what_the_first_read():
    (result,) = fused(mx.sym.negative(mx.sym.exp(mx.sym.sqrt(x)), name="last"))
    assert operators([result]) == ["sqrt", "_toy_exp_negative"]
    assert result.node.name == "last"
    assert result.node.inputs[0].node.op.name == "sqrt"


def test_nodes_after_and_beside_are_kept():
    inner = mx.sym.sqrt(x)
    net = mx.sym.abs(mx.sym.negative(mx.sym.exp(inner))) + inner
    (result,) = fused(net)
    assert operators([result]) == ["sqrt", "_toy_exp_negative", "abs", "elemwise_add"]
    left, right = result.node.inputs
    assert left.node.op.name == "abs"
    assert right == inner.entries[0]


@pytest.mark.parametrize("other", ["a node before", "a node after", "the caller"])
def test_a_value_that_somebody_else_reads_is_not_lost(other):
    inner = mx.sym.exp(x)
    before = mx.sym.abs(inner)
    last = mx.sym.negative(inner)
    after = mx.sym.abs(inner)
    others = {"a node before": before, "a node after": after, "the caller": inner}
    results = fused(last, others[other])
    assert "_toy_exp_negative" not in operators(results)
    assert results == [last.entries[0], others[other].entries[0]]


@pytest.mark.parametrize("other", ["a node after", "the caller"])
def test_a_value_that_the_new_node_gives_too_is_read_there(other):
    inner = mx.sym.exp(x)
    last = mx.sym.negative(inner)
    symbol = inner if other == "the caller" else mx.sym.abs(inner)
    result, beside = fused(last, symbol, patterns=[negative_of_exp(give_inner=True)])
    assert operators([result]) == ["_toy_exp_negative"]
    source = beside if other == "the caller" else beside.node.inputs[0]
    assert source == Entry(result.node, 1)


def test_a_value_that_is_read_before_the_new_node_could_run_stops_it():
    inner = mx.sym.exp(x)
    before = mx.sym.abs(inner)
    results = fused(mx.sym.negative(inner), before, patterns=[negative_of_exp(give_inner=True)])
    assert sorted(operators(results)) == ["abs", "exp", "negative"]


def test_a_chain_grows_and_the_first_pattern_wins():
    def wrap(node, users):
        before = node.inputs[0].node
        if before.is_variable or before.op.name not in ("exp", "_toy"):
            return None
        op = ExpThenNegate(1)
        op.name = "_toy"
        fused = Node(op, f"{before.name}+{node.name}", None, before.inputs, op.parse({}), node.serial)
        return Fusion([before, node], {Entry(node): Entry(fused)})

    net = mx.sym.exp(x, name="a")
    for name in "bcd":
        net = mx.sym.negative(net, name=name)
    (result,) = fused(net, patterns=[Pattern(("negative",), wrap), negative_of_exp()])
    assert operators([result]) == ["_toy"]
    assert result.node.name == "a+b+c+d"


def test_siblings_are_found_through_the_users_of_what_they_share():
    asked = []

    def join(node, users):
        for other in users(node.inputs[0]):
            asked.append(other.name)
            if not other.is_variable and other.op.name == "exp":
                op = ExpThenNegate(2)
                fused = Node(op, "both", None, node.inputs, op.parse({}), node.serial)
                return Fusion([other, node], {Entry(other): Entry(fused, 0), Entry(node): Entry(fused, 1)})
        return None

    inner = mx.sym.sqrt(x)
    left, right = mx.sym.exp(inner, name="left"), mx.sym.negative(inner, name="right")
    results = fused(left, right, patterns=[Pattern(("negative",), join)])
    assert operators(results) == ["sqrt", "_toy_exp_negative"]
    assert [(e.node.name, e.index) for e in results] == [("both", 0), ("both", 1)]
    assert set(asked) <= {"left", "right"}


def test_a_value_that_is_an_output_twice_or_a_variable_comes_back_so():
    last = mx.sym.negative(mx.sym.exp(x))
    results = fused(last, last, x)
    assert results[0] == results[1]
    assert results[0].node.op.name == "_toy_exp_negative"
    assert results[2] == x.entries[0]


def test_new_nodes_before_the_last_keep_the_running_order():
    def through_two(node, users):
        before = node.inputs[0].node
        if before.is_variable or before.op.name != "exp":
            return None
        first = Node(find("square"), "prepared", None, before.inputs, serial=before.serial)
        last = Node(find("abs"), node.name, None, [Entry(first)], serial=node.serial)
        return Fusion([before, node], {Entry(node): Entry(last)})

    (result,) = fused(mx.sym.negative(mx.sym.exp(x)), patterns=[Pattern(("negative",), through_two)])
    assert operators([result]) == ["square", "abs"]


def test_a_long_chain_takes_time_in_proportion():
    """Counted, not timed: each node is asked about once."""
    asked = 0

    def count(node, users):
        nonlocal asked
        asked += 1
        assert len(users(node.inputs[0])) == 1

    net = x
    for _ in range(2000):
        net = mx.sym.negative(net)
    fused(net, patterns=[Pattern(("negative",), count)])
    assert asked == 2000
