"""Pauses of the garbage collector."""

import gc

import pytest

import symbind as mx
from symbind.garbage import collector_paused


def test_the_search_rests_inside_and_goes_on_after():
    with pytest.raises(KeyError), collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_was_switched_off_stays_off():
    gc.disable()
    try:
        mx.sym.exp(mx.sym.var("x")).simple_bind(mx.cpu(), x=(2,))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_binding_searches_for_nothing_and_leaves_the_search_on():
    started = []

    def note(phase, info):
        started.append(phase)

    net = mx.sym.var("x")
    for _ in range(300):
        net = mx.sym.exp(net)
    gc.callbacks.append(note)
    try:
        net.simple_bind(mx.cpu(), x=(2,))
        during = list(started)
    finally:
        gc.callbacks.remove(note)
    assert len(during) <= 2  # at most one that was due when it ended, or when the first call began
    assert gc.isenabled()
