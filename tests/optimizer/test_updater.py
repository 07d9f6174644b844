"""The updater: states by index, made, loaded and replaced."""

from __future__ import annotations

import symbind as mx


def trained() -> mx.optimizer.Updater:
    """An updater that has met a parameter of shape (4,) at index 1, whose momentum is -1 since."""
    updater = mx.optimizer.get_updater(mx.optimizer.SGD(learning_rate=1.0, momentum=0.5))
    updater(1, mx.nd.ones((4,)), mx.nd.zeros((4,)))
    return updater


def test_updates_by_index_and_in_lists() -> None:
    updater = mx.optimizer.get_updater(mx.optimizer.SGD(learning_rate=1.0, momentum=0.5))
    weights = [mx.nd.zeros(2), mx.nd.zeros(3)]
    updater([0, "b"], [mx.nd.ones(2), mx.nd.ones(3)], weights)
    updater(b"b", mx.nd.ones(3), weights[1])
    updater([], [], [])
    assert [w.asnumpy().tolist() for w in weights] == [[-1, -1], [-2.5] * 3]
    assert list(updater.states) == [0, "b"]


def test_loaded_states_are_used_and_move_to_their_parameter() -> None:
    updater = trained()
    fresh = mx.optimizer.get_updater(mx.optimizer.SGD(learning_rate=1.0, momentum=0.5))
    fresh.set_states(updater.get_states())
    weight = mx.nd.zeros((4,), ctx=mx.cpu(1))
    fresh(1, mx.nd.zeros((4,), ctx=mx.cpu(1)), weight)
    assert weight.asnumpy().tolist() == [-0.5] * 4
    assert fresh.states[1].context == mx.cpu(1)
    fresh(1, mx.nd.zeros((4,), ctx=mx.cpu(1)), weight)
    assert weight.asnumpy().tolist() == [-0.75] * 4


def test_states_replaced_between_steps_are_used() -> None:
    updater = trained()
    saved = updater.get_states()
    weight, gradient = mx.nd.zeros((4,)), mx.nd.zeros((4,))
    for _ in range(2):
        updater.set_states(saved)
        updater(1, gradient, weight)
    assert weight.asnumpy().tolist() == [-1.0] * 4
