"""The allocator: no two buffers that live together share bytes, and the arena is close to the lower bound."""

from hypothesis import given, settings
from hypothesis import strategies as st

from symbind.passes import allocate as module
from symbind.passes.allocate import ALIGNMENT, Lifetime, allocate, live_bytes_bound

lifetimes = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 12), st.integers(1, 5000)).map(
        lambda t: Lifetime(t[0], t[0] + t[1], t[2])
    ),
    max_size=40,
)


def assert_valid(buffers, result):
    assert len(result.offsets) == len(buffers)
    for i, (a, x) in enumerate(zip(buffers, result.offsets)):
        assert x % ALIGNMENT == 0
        assert x + a.size <= result.total
        for b, y in zip(buffers[:i], result.offsets[:i]):
            if a.first <= b.last and b.first <= a.last:
                assert x + a.size <= y or y + b.size <= x, (a, x, b, y)


@given(lifetimes)
def test_live_buffers_never_overlap(buffers):
    result = allocate(buffers)
    assert_valid(buffers, result)
    assert result.total >= live_bytes_bound(buffers)


@given(lifetimes)
@settings(max_examples=50)
def test_every_heuristic_is_valid(buffers):
    assert_valid(buffers, module._place_in_time(buffers))
    attempts = list(module._attempts(buffers, live_bytes_bound(buffers)))
    for placed in attempts:
        assert_valid(buffers, placed)
    assert allocate(buffers).total <= attempts[0].total


def test_bound_is_the_largest_sum_of_live_sizes():
    buffers = [Lifetime(0, 2, 64), Lifetime(1, 3, 128), Lifetime(3, 4, 640), Lifetime(9, 9, 64)]
    assert live_bytes_bound(buffers) == 128 + 640
    assert live_bytes_bound([]) == 0


def test_a_chain_needs_two_buffers():
    buffers = [Lifetime(i, i + 1, 1024) for i in range(100)]
    assert allocate(buffers).total == 2048


def test_a_large_problem_is_placed_in_time_order_and_fits():
    buffers = [Lifetime(i, i + 1 + i % 5, 64 * (1 + i % 7)) for i in range(20000)]
    result = allocate(buffers)
    assert result.total <= 1.5 * live_bytes_bound(buffers)
