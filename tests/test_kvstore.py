"""Key-value stores; behaviour as observed in MXNet 1.9.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx


def store(value: float = 2.0, name: str = "local") -> Any:
    made = mx.kv.create(name)
    made.init(3, mx.nd.full((2,), value))
    return made


def held(kv: Any, key: Any = 3) -> list[float]:
    out = mx.nd.zeros((2,))
    kv.pull(key, out=out)
    return out.asnumpy().tolist()


def test_what_is_pushed_replaces_what_is_held() -> None:
    kv = store()
    assert held(kv) == [2, 2]
    kv.push(3, mx.nd.full((2,), 8))
    assert held(kv) == [8, 8]


def test_devices_are_summed_and_all_are_given_the_sum() -> None:
    kv = store()
    values = [mx.nd.ones((2,), mx.cpu(i)) for i in range(4)]
    kv.push(3, values)
    outs = [mx.nd.zeros((2,), mx.cpu(i)) for i in range(2)]
    kv.pull(3, out=outs)
    assert [out.asnumpy().tolist() for out in outs] == [[4, 4], [4, 4]]
    # What was pushed is left as it was, and not kept.
    assert values[0].asnumpy().tolist() == [1, 1]
    values[0][:] = 9
    assert held(kv) == [4, 4]


def test_lists_of_keys() -> None:
    kv = mx.kv.create("device")
    kv.init(["a", "b"], [mx.nd.ones((2,)), mx.nd.ones((2,)) * 2])
    kv.push(["a", "b"], [[mx.nd.ones((2,)) * 4, mx.nd.ones((2,))], mx.nd.ones((2,)) * 7])
    assert (held(kv, "a"), held(kv, "b")) == ([5, 5], [7, 7])
    assert (kv.type, kv.rank, kv.num_workers) == ("device", 0, 1)


def test_an_updater() -> None:
    kv, seen = store(), []

    def update(key: Any, pushed: Any, stored: Any) -> None:
        seen.append((key, pushed.asnumpy().tolist()))
        stored += pushed * 2

    kv._set_updater(update)
    kv.push(3, [mx.nd.ones((2,))] * 2)
    assert seen == [(3, [2, 2])]
    assert held(kv) == [6, 6]


def test_values_are_assigned_past_the_updater() -> None:
    kv = store()
    kv._set_updater(lambda key, pushed, stored: None)
    kv.assign(3, mx.nd.full((2,), 7))
    kv.push(3, mx.nd.ones((2,)))
    assert held(kv) == [7, 7]


def test_an_optimizer_and_its_states(tmp_path: Path) -> None:
    stores = [store(1.0), store(1.0)]
    for kv in stores:
        kv.set_optimizer(mx.optimizer.create("sgd", learning_rate=0.1, momentum=0.9))
    first, second = stores
    first.push(3, mx.nd.ones((2,)))
    np.testing.assert_allclose(held(first), [0.9, 0.9])
    first.push(3, mx.nd.ones((2,)))
    np.testing.assert_allclose(held(first), [0.71, 0.71], rtol=1e-6)
    file = str(tmp_path / "states")
    first.save_optimizer_states(file)
    second.load_optimizer_states(file)
    second.push(3, mx.nd.ones((2,)))
    np.testing.assert_allclose(held(second), [1 - 0.1 - 0.9 * 0.19] * 2, rtol=1e-6)


def test_pushpull_and_broadcast() -> None:
    kv, out = mx.kv.create("local"), mx.nd.zeros((2,))
    kv.broadcast("q", mx.nd.ones((2,)) * 3, out=out)
    assert out.asnumpy().tolist() == [3, 3]
    kv.pushpull("q", [mx.nd.ones((2,))] * 2, out=out)
    assert out.asnumpy().tolist() == [2, 2]
    values = [mx.nd.ones((2,)), mx.nd.ones((2,)) * 4]
    kv.pushpull("q", values)
    assert [value.asnumpy().tolist() for value in values] == [[5, 5], [5, 5]]


def test_a_store_of_ones_own() -> None:
    @mx.kv.KVStoreBase.register
    class Counting(mx.kv.KVStore):
        pass

    try:
        assert isinstance(mx.kv.create("counting"), Counting)
    finally:
        del mx.kv.KVStoreBase.kv_registry["counting"]


@pytest.mark.parametrize(
    ("mistake", "error", "mentions"),
    [
        (lambda kv: kv.init(3, mx.nd.ones((2,))), mx.MXNetError, "duplicate init of key 3"),
        (lambda kv: kv.init("a", mx.nd.ones((2,))), mx.MXNetError, "Mixed key types"),
        (lambda kv: kv.init(2.5, mx.nd.ones((2,))), TypeError, "2.5"),
        (lambda kv: kv.push(4, mx.nd.ones((2,))), mx.MXNetError, "key 4 doesn't exist"),
        (lambda kv: kv.pull(4, out=mx.nd.ones((2,))), mx.MXNetError, "key 4 doesn't exist"),
        (lambda kv: kv.pull(3), ValueError, "out"),
        (lambda kv: kv.push(3, mx.nd.ones((3,))), mx.MXNetError, r"\(3,\) was pushed"),
        (lambda kv: kv.pull(3, out=mx.nd.ones((3,))), mx.MXNetError, r"out has \(3,\)"),
        (lambda kv: kv.push(3, 1.0), TypeError, "NDArray"),
        (lambda kv: kv.push([3], mx.nd.ones((2,))), ValueError, "1 keys"),
        (lambda kv: kv.save_optimizer_states("nowhere"), AssertionError, "optimizer"),
        (lambda kv: kv.set_gradient_compression({"type": "2bit"}), mx.MXNetError, "compression"),
        (lambda kv: kv.row_sparse_pull(3, out=mx.nd.ones((2,))), ValueError, "row_ids"),
        (lambda kv: kv.row_sparse_pull(3, mx.nd.ones((2,)), row_ids=mx.nd.ones((1,))), ValueError, "is given default"),
        (lambda kv: kv.is_capable("magic"), ValueError, "magic"),
        (lambda kv: mx.kv.create(3), TypeError, "string"),
        (lambda kv: mx.kv.create("dist_sync"), mx.MXNetError, "dist_sync"),
    ],
)
def test_mistakes(mistake: Any, error: type[Exception], mentions: str) -> None:
    kv = store()
    with pytest.raises(error, match=mentions):
        mistake(kv)
    assert held(kv) == [2, 2]
