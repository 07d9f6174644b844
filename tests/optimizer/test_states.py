"""Files of optimizer states: ours, MXNet's, damaged ones, and ones made to do harm."""

from __future__ import annotations

import functools
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind.base import MXNetError
from symbind.optimizer import pickled
from symbind.optimizer.states import dump_states, load_states


def trained(name: str = "sgd", **options: Any) -> mx.optimizer.Updater:
    updater = mx.optimizer.get_updater(mx.optimizer.create(name, **options))
    for index, shape in (("a_weight", (2, 3)), (1, (4,))):
        updater(index, mx.nd.ones(shape), mx.nd.full(shape, 2.0))
    return updater


def arrays(state: Any) -> list[np.ndarray]:
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in arrays(part)]
    return [] if state is None else [state.asnumpy()]


def assert_same_states(seen: dict, expected: dict) -> None:
    assert list(seen) == list(expected)
    for index, state in expected.items():
        assert type(seen[index]) is type(state)
        for one, other in zip(arrays(seen[index]), arrays(state), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


# --- files of states


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {}),
        ("sgd", {"momentum": 0.9}),
        ("adam", {}),
        ("rmsprop", {}),
        ("rmsprop", {"centered": True}),
        ("adagrad", {}),
        ("dcasgd", {}),
    ],
)
def test_round_trip(name: str, options: dict[str, Any]) -> None:
    updater = trained(name, **options)
    states, optimizer = load_states(updater.get_states())
    assert_same_states(states, updater.states)
    assert optimizer is None


def test_round_trip_in_half_precision() -> None:
    updater = mx.optimizer.get_updater(mx.optimizer.SGD(momentum=0.9, multi_precision=True))
    weight = mx.nd.full((2, 3), 0.3, dtype="float16")
    updater(0, weight.copy(), weight)
    assert_same_states(load_states(updater.get_states())[0], updater.states)


def test_round_trip_with_the_optimizer() -> None:
    updater = trained(
        "adam", lr_scheduler=mx.lr_scheduler.MultiFactorScheduler([3, 5], 0.5), param_idx2name={1: "b_bias"}, wd=0.25
    )
    other = mx.optimizer.get_updater(mx.optimizer.SGD())
    other.set_states(updater.get_states(dump_optimizer=True))
    loaded, original = other.optimizer, updater.optimizer
    assert type(loaded) is mx.optimizer.Adam
    assert vars(loaded.lr_scheduler) == vars(original.lr_scheduler)
    for name, value in original.__getstate__().items():
        assert name == "lr_scheduler" or getattr(loaded, name) == value
    # Both go on in the same way.
    weights = [mx.nd.full((4,), 2.0), mx.nd.full((4,), 2.0)]
    for _ in range(5):
        for one, weight in zip((updater, other), weights):
            one(1, mx.nd.ones(4), weight)
    np.testing.assert_array_equal(weights[0].asnumpy(), weights[1].asnumpy())


def test_optimizers_of_a_user_need_to_be_registered() -> None:
    class Unknown(mx.optimizer.SGD):
        pass

    with pytest.raises(MXNetError, match="Unknown"):
        mx.optimizer.get_updater(Unknown()).get_states(dump_optimizer=True)

    @mx.optimizer.register
    class Known(mx.optimizer.SGD):
        pass

    data = mx.optimizer.get_updater(Known(momentum=0.25)).get_states(dump_optimizer=True)
    _, loaded = load_states(data)
    assert type(loaded) is Known
    assert loaded.momentum == 0.25
    mx.optimizer.Optimizer.opt_registry.pop("known")
    with pytest.raises(MXNetError, match=r"Known"):
        load_states(data)


def test_what_cannot_be_written() -> None:
    with pytest.raises(MXNetError, match="object"):
        dump_states({0: object()})
    with pytest.raises(MXNetError, match="function"):
        dump_states({0: (None, test_what_cannot_be_written)})


# Written by MXNet 1.9.1: SGD with momentum 0.9 after one update of a 2×3 array of ones at index 0 and "x_weight",
# without and with the optimizer, which has FactorScheduler(2, 0.5).
FROM_MXNET = Path(__file__).parent / "mxnet.states"
FROM_MXNET_WITH_OPTIMIZER = Path(__file__).parent / "mxnet_optimizer.states"


def test_reads_states_of_mxnet() -> None:
    states, optimizer = load_states(FROM_MXNET.read_bytes())
    assert list(states) == [0, "x_weight"]
    for state in states.values():
        np.testing.assert_array_equal(state.asnumpy(), np.full((2, 3), -0.01, "float32"))
    assert optimizer is None


def test_reads_optimizers_of_mxnet() -> None:
    updater = mx.optimizer.get_updater(mx.optimizer.SGD())
    updater.set_states(FROM_MXNET_WITH_OPTIMIZER.read_bytes())
    optimizer = updater.optimizer
    assert type(optimizer) is mx.optimizer.SGD
    assert optimizer.momentum == 0.9
    assert type(optimizer.lr_scheduler) is mx.lr_scheduler.FactorScheduler
    assert optimizer.num_update == 1
    weight = mx.nd.ones((2, 3))
    updater(0, mx.nd.ones((2, 3)), weight)
    np.testing.assert_allclose(weight.asnumpy(), 1 - 0.01 - 0.009, rtol=1e-6)
    assert optimizer._index_update_count[0] == 2


def test_writes_what_mxnet_wrote() -> None:
    states, _ = load_states(FROM_MXNET.read_bytes())
    ours = pickled.loads(dump_states(states))
    theirs = pickled.loads(FROM_MXNET.read_bytes())
    for one, other in zip(ours.values(), theirs.values(), strict=True):
        assert (one.callable, one.args) == (other.callable, other.args)
        assert one.state["handle"].callable == other.state["handle"].callable
        assert one.state["handle"].args == other.state["handle"].args


def test_writes_the_attributes_that_mxnet_wrote() -> None:
    states, optimizer = load_states(FROM_MXNET_WITH_OPTIMIZER.read_bytes())
    _, ours = pickled.loads(dump_states(states, mx.optimizer.SGD(lr_scheduler=optimizer.lr_scheduler)))
    _, theirs = pickled.loads(FROM_MXNET_WITH_OPTIMIZER.read_bytes())
    assert (ours.callable, ours.args, ours.new) == (theirs.callable, theirs.args, theirs.new)
    assert ours.state.keys() == theirs.state.keys()
    assert ours.state["lr_scheduler"].callable == theirs.state["lr_scheduler"].callable
    assert ours.state["lr_scheduler"].state == theirs.state["lr_scheduler"].state


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_arrays_and_plain_containers(protocol: int) -> None:
    value = {
        0: np.arange(6, dtype="float32").reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.array([1, 2], ">i4"),
        2: (None, [np.ones(3), 1.5], {"x": np.float64(0.5)}),
        3: (True, -(2**40), "é"),
        4: np.bool_(True),
    }
    states, _ = load_states(pickle.dumps(value, protocol=protocol))
    np.testing.assert_array_equal(states[0].asnumpy(), value[0])
    np.testing.assert_array_equal(states["columns"].asnumpy(), value["columns"])
    assert states["columns"].dtype is np.float64
    assert states["big"].asnumpy().tolist() == [1, 2]
    assert states[2][1][0].asnumpy().tolist() == [1, 1, 1]
    assert states[2][2] == {"x": 0.5}
    assert states[3] == value[3]
    assert states[4] is True


# --- pickles that want to run code


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


HARMFUL = {
    "system": (lambda path: Calls(os.system, f"touch {path}"), "posix.system"),
    "eval": (lambda path: Calls(eval, f"open({str(path)!r}, 'w')"), "builtins.eval|__builtin__.eval"),
    "exec": (lambda path: Calls(exec, f"open({str(path)!r}, 'w')"), "builtins.exec|__builtin__.exec"),
    "open": (lambda path: Calls(open, str(path), "w"), r"io.open"),
    "partial": (lambda path: functools.partial(os.system, f"touch {path}"), "functools.partial|posix.system"),
    "import": (lambda path: Calls(__import__, "antigravity"), "__import__"),
    "inside an array": (lambda path: np.array([Calls(os.system, f"touch {path}")], dtype=object), "dtype|O8"),
    "as a key": (lambda path: {Calls(os.system, f"touch {path}"): 1}, "key|unhashable"),
    "as the optimizer": (lambda path: ({}, Calls(os.system, f"touch {path}")), "posix.system"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", HARMFUL)
def test_no_pickle_runs_code(name: str, protocol: int, tmp_path: Path) -> None:
    make, message = HARMFUL[name]
    target = tmp_path / "touched"
    updater = trained("sgd", momentum=0.9)
    before = updater.states
    data = pickle.dumps({0: make(target)}, protocol=protocol)
    with pytest.raises(MXNetError, match=message):
        updater.set_states(data)
    assert not target.exists()
    assert updater.states is before
    # The same bytes do run elsewhere, or there would be nothing to prevent.
    if name == "system" and protocol == 4:
        pickle.loads(data)
        assert target.exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nS'true'\no.", "OBJ"),
        (b"\x80\x02]\x82\x01.", "EXT1"),
        (b"Pid\n.", "PERSID"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"}K\x00cbuiltins\nbytearray\nK\x7f\x85Rs.", "builtins.bytearray"),
        (b"cmxnet.optimizer.optimizer\nSGD\nN}(S'update'\ncos\nsystem\nu\x86b.", "Instance"),
        (b"cmxnet.optimizer.optimizer\nSGD\n)\x81}b.", "lacks"),
        (b"}K\x00cmxnet.ndarray.ndarray\nNDArray\n(NtR}S'handle'\ncbuiltins\nbytearray\nK\x7f\x85Rsbs.", "bytes"),
        (b"}]K\x00s.", "unhashable"),
        (b"}(K\x00u.", "key without a value"),
        (b"K\x00.", "dict"),
        (b".", "start|STOP"),
        (b"", "byte 0 of 0"),
        (b"}", "byte 0 of 1"),
        (b"(.", "no value"),
        (b"}}.", "STOP"),
        (b"h\x07.", "BINGET"),
        (b"0.", "POP"),
        (b"}K\x00]K\x05bs.", "BUILD"),
    ],
)
def test_pickles_made_by_hand(code: bytes, message: str) -> None:
    with pytest.raises(MXNetError, match=message):
        load_states(code)


# --- pickles that want memory


def test_lengths_are_checked_before_memory_is_taken() -> None:
    for code in (
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.",  # BINBYTES8
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc.",  # BINUNICODE8
        b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"abc.",  # LONG4
        b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b"K\x00K\x01s.",  # LONG_BINPUT: a slot far out, harmless here
    ):
        try:
            load_states(code)
        except MXNetError:
            continue
        assert code[3:4] == b"r"


def test_arrays_cannot_be_larger_than_the_file() -> None:
    dtype = b"cnumpy\ndtype\nS'f4'\nK\x00K\x01\x87R"
    huge = b"}K\x00cnumpy.core.multiarray\n_frombuffer\n(C\x04abcd" + dtype + b"J\xff\xff\xff\x7f\x85S'C'\ntRs."
    with pytest.raises(MXNetError, match="2147483647"):
        load_states(huge)
    negative = huge.replace(b"J\xff\xff\xff\x7f\x85", b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86")
    with pytest.raises(MXNetError, match="shape"):
        load_states(negative)


def test_one_buffer_cannot_be_used_over_and_over() -> None:
    data = bytes(1000)
    array = b"cnumpy.core.multiarray\n_frombuffer\n(h\x00cnumpy\ndtype\nS'u1'\nK\x00K\x01\x87RM\xe8\x03\x85S'C'\ntR"
    code = b"\x80\x03B" + struct.pack("<I", len(data)) + data + b"q\x000}K\x00](" + array * 50 + b"es."
    with pytest.raises(MXNetError, match="larger than the file"):
        load_states(code)


def test_a_sparse_array_is_no_way_around_it() -> None:
    # A row_sparse array of shape (1000, 8) without rows.
    shapes = struct.pack("<iqqiqq", 2, 0, 8, 2, 1000, 8)
    data = struct.pack("<Ii", 0xF993FAC9, 1) + shapes + struct.pack("<iiiiiq", 1, 0, 0, 6, 1, 0)
    handle = pickled.Instance(pickled.Global("builtins", "bytearray"), (data,))
    array = pickled.Instance(pickled.Global("mxnet.ndarray.ndarray", "NDArray"), (None,), {"handle": handle})
    with pytest.raises(MXNetError, match="sparse"):
        load_states(pickled.dumps({0: array}))


def test_shared_and_nested_values_are_bounded() -> None:
    value: Any = None
    for _ in range(12):
        value = [value] * 100  # 100¹² values, if each were built again
    states, _ = load_states(pickle.dumps({0: value}))
    assert len(states[0]) == 100
    nested: Any = []
    for _ in range(300):
        nested = [nested]
    with pytest.raises(MXNetError, match="levels deep"):
        load_states(pickle.dumps({0: nested}))
    with pytest.raises(MXNetError, match="levels deep"):
        load_states(b"}K\x00" + b"]q\x00h\x00a" + b"s.")  # a list that contains itself


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_always_an_error_of_ours(data: st.DataObject) -> None:
    whole = bytearray(FROM_MXNET_WITH_OPTIMIZER.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for damaged in (bytes(whole), bytes(whole[:cut])):
        try:
            states, _ = load_states(damaged)
        except MXNetError:
            continue
        assert isinstance(states, dict)


# --- pickles as data


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_plain_values_are_read_as_python_reads_them(value: Any, protocol: int) -> None:
    written = pickle.dumps(value, protocol=protocol)
    if protocol >= 3:  # before, bytes were written as a call
        assert pickled.loads(written) == value
    ours = pickled.dumps(value)
    assert pickle.loads(ours) == value
    assert pickled.loads(ours) == value


def test_objects_become_descriptions() -> None:
    for protocol in range(6):
        made = pickled.loads(pickle.dumps(complex(1, 2), protocol=protocol))
        assert made.callable.name == "complex"
        assert made.args == (1.0, 2.0)
        described = pickled.loads(pickle.dumps(Described(), protocol=protocol))
        assert described.callable.name == "Described"
        assert (described.new, described.state) == (True, {"x": 1})


class Described:
    def __init__(self) -> None:
        self.x = 1
