"""The planner on random graphs, checked by simulating the run byte by byte."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind.graph.node import Entry, execution_order, post_order
from symbind.passes.plan import InArena, Kept, Store, plan_memory

UNIT = 64


def random_graph(seed, size):
    """A DAG of element-wise, aliasing, two-input and joining operators over two variables, and all bytes."""
    rng = random.Random(seed)
    values = [mx.sym.var("a"), mx.sym.var("b")]
    units = {value.entries[0]: 1 for value in values}
    for _ in range(size):
        x, y = rng.choice(values[-6:]), rng.choice(values)
        kind = rng.choice(["unary", "binary", "alias", "join"])
        length = units[x.entries[0]]
        if kind == "unary":
            made = mx.sym.exp(x)
        elif kind == "alias":
            made = mx.sym.Reshape(x, shape=(-1,))
        elif kind == "binary" and units[y.entries[0]] == length:
            made = mx.sym.elemwise_mul(x, y)
        else:
            parts = [x, *rng.choices(values[-8:], k=rng.randint(0, 3))]
            rng.shuffle(parts)
            length = sum(units[part.entries[0]] for part in parts)
            made = mx.sym.Concat(*parts, dim=0)
        if length < 64:
            values.append(made)
            units[made.entries[0]] = length
    heads = rng.sample(values[2:], min(3, len(values) - 2))
    return mx.sym.Group(heads), {entry: UNIT * length for entry, length in units.items()}


def joins(node):
    return node.op.name == "Concat"


def simulate(plan, variables, num_bytes):
    """Run the plan on symbolic contents: every place holds the value last written there; reads must find theirs.

    Returns what is in the places, and how many units were copied to join values.
    """
    content, copied = {}, 0

    def spans(entry):
        where = Kept(entry.node) if entry.node.is_variable else plan.places[entry]
        count = num_bytes[entry] // UNIT
        return [(where.offset // UNIT if isinstance(where, InArena) else where.key, i) for i in range(count)]

    def locations(entry):
        return [at + i if isinstance(at, int) else (at, i) for at, i in spans(entry)]

    def tokens(entry):
        """What a value is, unit by unit, however it came about."""
        node = entry.node
        if not node.is_variable and node.op.alias_pairs(node.params):
            return tokens(node.inputs[0])
        if not node.is_variable and joins(node):
            return [token for part in node.inputs for token in tokens(part)]
        return [(entry, i) for i in range(num_bytes[entry] // UNIT)]

    def write(places, values):
        content.update(zip(places, values, strict=True))

    for v in variables:
        write(locations(Entry(v)), tokens(Entry(v)))
    for step in [*plan.forward, *plan.backward]:
        entries = [step.entry] if isinstance(step, Store) else step.inputs
        for entry in entries:
            found = [content.get(at) for at in locations(entry)]
            assert found == tokens(entry), f"{step} reads {entry.name}, which was overwritten"
        if isinstance(step, Store):
            content[step.target] = ("stored", step.entry)
            continue
        out = Entry(step)
        places = locations(out)
        if joins(step):
            begin = 0
            for part in step.inputs:
                source = locations(part)
                target = places[begin : begin + len(source)]
                if source != target:
                    write(target, [content[at] for at in source])
                    copied += len(source)
                begin += len(source)
            assert [content[at] for at in places] == tokens(out)
        elif not (step.op.alias_pairs(step.params) and places == locations(step.inputs[0])):
            write(places, tokens(out))
    return content, copied


def check(symbol, num_bytes, half, joins=joins):
    """Plan ``symbol`` with its first ``half`` nodes as the way there and the others as the way back, and run it."""
    order = execution_order(symbol.entries)
    nodes = [n for n in order if not n.is_variable]
    heads = dict.fromkeys(symbol.entries)
    forward_heads = [e for e in heads if e.node in set(nodes[:half])]
    later_heads = [e for e in heads if e.node not in set(nodes[:half])]
    stores = [Store(e, Kept(("output", i))) for i, e in enumerate(forward_heads)]
    gradients = [Store(e, Kept(("gradient", i)), accumulate=i == 1) for i, e in enumerate(later_heads)]
    plan = plan_memory(
        nodes[:half], nodes[half:], stores, gradients, num_bytes.__getitem__,
        lambda a, b: num_bytes[a] == num_bytes[b], joins=joins,
    )  # fmt: skip
    content, copied = simulate(plan, [n for n in order if n.is_variable], num_bytes)
    for store in [*stores, *gradients]:
        assert content.get(store.target) == ("stored", store.entry) or plan.places[store.entry] == store.target
    assert plan.lower_bound <= plan.arena_bytes <= max(plan.unshared_bytes, UNIT)
    return plan, copied


@given(st.integers(0, 10**6), st.integers(1, 40), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_read_finds_its_value(seed, size, twice):
    symbol, num_bytes = random_graph(seed, size)
    count = sum(not n.is_variable for n in execution_order(symbol.entries))
    half = count // 2 if twice else count
    plan, copied = check(symbol, num_bytes, half)
    apart, more_copied = check(symbol, num_bytes, half, joins=lambda node: False)
    assert copied <= more_copied
    assert plan.lower_bound <= 1.002 * apart.lower_bound, "joints must not cost memory"


def rows(*names):
    return [mx.sym.exp(mx.sym.var(name)) for name in names]


def sizes(symbol, units=4):
    """Bytes of every value, those that are not joined being of ``units`` units."""
    found = {}
    for node in execution_order(symbol.entries):
        parts = [found[entry] for entry in node.inputs]
        found[Entry(node)] = sum(parts) if not node.is_variable and joins(node) else units * UNIT
    return found


def test_parts_are_computed_side_by_side():
    whole = mx.sym.Concat(*rows("a", "b", "c"), dim=0)
    net = mx.sym.sum(whole)
    plan, copied = check(net, sizes(net) | {net.entries[0]: UNIT}, 5)
    assert copied == 0
    assert plan.arena_bytes == 12 * UNIT, "there is no second array for the whole"


def test_wholes_that_overlap_share_their_parts():
    """As in a recurrent network: the states from the first on, and those before them."""
    states = rows("a", "b", "c", "d")
    first, last = (mx.sym.sum(mx.sym.Concat(*part, dim=0)) for part in (states[:-1], states[1:]))
    net = mx.sym.Group([first, last])
    plan, copied = check(net, sizes(net), 8)
    assert copied == 0
    assert plan.arena_bytes == 16 * UNIT


def test_what_is_joined_in_two_orders_is_copied_in_part():
    """They lie as a, b, a."""
    a, b = rows("a", "b")
    net = mx.sym.Group([mx.sym.sum(mx.sym.Concat(*pair, dim=0)) for pair in ((a, b), (b, a))])
    _, copied = check(net, sizes(net), 6)
    assert copied == 4


def test_a_value_twice_in_a_whole_and_a_variable_are_copied():
    (a,) = rows("a")
    net = mx.sym.sum(mx.sym.Concat(a, mx.sym.var("b"), a, dim=0))
    _, copied = check(net, sizes(net), 3)
    assert copied == 8


def test_what_a_part_overwrites_is_there_already():
    """The whole chain that leads to a part runs in the place of that."""
    chain = mx.sym.sqrt(mx.sym.exp(mx.sym.exp(mx.sym.var("a"))))
    net = mx.sym.sum(mx.sym.Concat(chain, *rows("b"), dim=0))
    plan, copied = check(net, sizes(net), 6)
    assert copied == 0
    assert plan.arena_bytes == 8 * UNIT


def test_no_joint_where_it_would_keep_memory_waiting():
    """The skip connection of a U-net: the first part is there long before the second, and the peak between them."""
    early = mx.sym.exp(mx.sym.var("a"))
    wide = mx.sym.exp(mx.sym.Concat(*[early] * 8, dim=0))
    late = mx.sym.sum(wide)
    net = mx.sym.sum(mx.sym.Concat(early, late, dim=0))
    plan, _ = check(net, sizes(net), len(execution_order(net.entries)) - 1)
    apart, _ = check(net, sizes(net), len(execution_order(net.entries)) - 1, joins=lambda node: False)
    assert plan.lower_bound == apart.lower_bound


def test_forward_leaves_gradient_buffers_alone():
    a = mx.sym.var("a")
    inner = mx.sym.exp(a)
    last = mx.sym.exp(inner)
    plan = plan_memory(
        [inner.entries[0].node], [last.entries[0].node], [], [Store(last.entries[0], Kept("g"))],
        lambda e: 64, lambda a, b: True,
    )  # fmt: skip
    assert plan.places[last.entries[0]] == Kept("g")
    assert isinstance(plan.places[inner.entries[0]], InArena)


def test_elementwise_chain_runs_in_one_buffer():
    x = mx.sym.var("x")
    y = x
    for _ in range(50):
        y = mx.sym.exp(y)
    nodes = [n for n in post_order(y.entries) if not n.is_variable]
    plan = plan_memory(nodes, [], [Store(y.entries[0], Kept("out"))], [], lambda e: 4096, lambda a, b: True)
    assert plan.arena_bytes == 0, "the whole chain can be computed in the output array"
    assert plan.unshared_bytes == 50 * 4096


@pytest.mark.parametrize("is_train", [True, False])
def test_a_value_read_in_backward_survives_forward(is_train):
    x = mx.sym.var("x")
    y = mx.sym.tanh(mx.sym.exp(x) * 2) * mx.sym.sin(x)
    executor = y.simple_bind(mx.cpu(), x=(4, 5))
    executor.arg_dict["x"][:] = 0.3
    executor.forward(is_train=is_train)
    executor.backward(mx.nd.ones((4, 5)))
    import numpy as np

    v = np.float64(np.float32(0.3))
    e, t = np.exp(v), np.tanh(2 * np.exp(v))
    expected = (1 - t * t) * 2 * e * np.sin(v) + t * np.cos(v)
    np.testing.assert_allclose(executor.grad_dict["x"].asnumpy(), expected, rtol=1e-5)
