"""Which nodes prepare parameters, and which of them belong together."""

from symbind.graph.node import Entry, Node
from symbind.ops.operator import Operator
from symbind.passes.hoist import hoistable, independent_parts


class Prepare(Operator):
    name = "_prepare"
    prepares_parameters = True

    def num_outputs(self, p):
        return 2


class Compute(Operator):
    name = "_compute"


def node(op, *inputs):
    return Node(op, op.name, None, [Entry(n) if isinstance(n, Node) else n for n in inputs])


PREPARE, COMPUTE = Prepare(), Compute()
a, b, c = (Node(None, name) for name in "abc")


def test_only_what_comes_from_variables_and_is_declared_to_prepare_them():
    first = node(PREPARE, a)
    second = node(PREPARE, first, b)
    computed = node(COMPUTE, second)
    late = node(PREPARE, computed)
    later = node(PREPARE, late, a)
    assert hoistable([a, b, first, second, computed, late, later]) == [first, second]


def test_nodes_that_read_each_other_are_one_part_in_running_order():
    one, two, three = node(PREPARE, a), node(PREPARE, b), node(PREPARE, a)
    four = node(PREPARE, two, c)
    five = node(PREPARE, Entry(one, 1), three)
    six = node(PREPARE, c)
    parts = independent_parts([one, two, three, four, five, six])
    assert parts == [[one, three, five], [two, four], [six]]


def test_parts_that_meet_late_become_one():
    one, two = node(PREPARE, a), node(PREPARE, b)
    three, four = node(PREPARE, one), node(PREPARE, two)
    assert independent_parts([one, two, three, four]) == [[one, three], [two, four]]
    five = node(PREPARE, three, four)
    assert independent_parts([one, two, three, four, five]) == [[one, two, three, four, five]]


def test_nothing_to_hoist():
    assert independent_parts([]) == []
