"""Joints as they are proposed; what the planner makes of them, and that all find their values, is in test_plan.py."""

import symbind as mx
from symbind.graph.node import execution_order
from symbind.passes.joints import find_joints

ROW = 64


def proposed(net, rows=None, inplace=True):
    """The joints of ``net`` as offsets in rows by name; ``rows`` has the lengths of values that are not one row."""
    nodes = [node for node in execution_order(net.entries) if not node.is_variable]
    lengths = {}

    def num_bytes(entry):
        node = entry.node
        if node.is_variable or node.op.name != "Concat":
            return (rows or {}).get(node.name, ROW)
        return sum(map(num_bytes, node.inputs))

    def root_of(entry):
        while not entry.node.is_variable and entry.node.op.alias_pairs(entry.node.params):
            entry = entry.node.inputs[0]
        return entry

    def overwritten(node, index):
        return [root_of(node.inputs[i]) for i, _ in node.op.inplace_pairs(node.params)] if inplace else []

    joints = find_joints(
        nodes, lambda node: node.op.name == "Concat", root_of, num_bytes, lambda e: not e.node.is_variable, overwritten
    )
    for joint in joints:
        lengths.update({entry.node.name: offset for entry, offset in joint.offsets.items()})
    return {name: offset / ROW for name, offset in lengths.items()}, [joint.size / ROW for joint in joints]


def value(name, source=None):
    return mx.sym.exp(mx.sym.var(f"{name}_in") if source is None else source, name=name)


def join(name, *parts):
    return mx.sym.Concat(*parts, dim=0, name=name)


def test_parts_lie_behind_one_another_and_the_whole_where_the_first_begins():
    offsets, sizes = proposed(join("whole", value("a"), value("b"), value("c")), rows={"b": 3 * ROW})
    assert offsets == {"a": 0, "b": 1, "c": 4, "whole": 0}
    assert sizes == [5]


def test_wholes_with_parts_in_common_are_in_one_joint():
    a, b, c, d = map(value, "abcd")
    offsets, sizes = proposed(mx.sym.Group([join("late", b, c, d), join("early", a, b, c)]))
    assert offsets == {"a": 0, "b": 1, "c": 2, "d": 3, "early": 0, "late": 1}
    assert sizes == [4]


def test_a_whole_may_be_a_part():
    offsets, sizes = proposed(join("all", join("two", value("a"), value("b")), value("c")))
    assert offsets == {"a": 0, "b": 1, "two": 0, "c": 2, "all": 0}
    assert sizes == [3]


def test_a_reshaped_part_is_placed_by_what_it_is_made_of():
    offsets, _ = proposed(join("whole", value("a"), mx.sym.Reshape(value("b"), shape=(-1,))))
    assert offsets == {"a": 0, "b": 1, "whole": 0}


def test_what_becomes_a_part_in_place_begins_there():
    chain = value("third", value("second", value("first")))
    assert proposed(join("whole", value("a"), chain))[0] == {
        "a": 0, "third": 1, "second": 1, "first": 1, "whole": 0
    }  # fmt: skip
    assert proposed(join("whole", value("a"), chain), inplace=False)[0] == {"a": 0, "third": 1, "whole": 0}


def test_variables_and_what_would_begin_between_cache_lines_stay_elsewhere():
    offsets, sizes = proposed(join("whole", mx.sym.var("given"), value("a", None), value("b")), rows={"a": 10})
    assert offsets == {"a": 1, "whole": 0}
    assert sizes == [2 + 10 / ROW]


def test_a_place_that_is_taken_is_not_taken_again():
    """b stands between a and c, so that a and c cannot be neighbours too."""
    a, b, c = map(value, "abc")
    offsets, _ = proposed(mx.sym.Group([join("three", a, b, c), join("two", a, c)]))
    assert offsets == {"a": 0, "b": 1, "c": 2, "three": 0}


def test_a_value_twice_in_a_whole_is_in_one_place():
    a = value("a")
    offsets, sizes = proposed(join("twice", a, a))
    assert offsets == {"a": 0, "twice": 0}
    assert sizes == [2]
