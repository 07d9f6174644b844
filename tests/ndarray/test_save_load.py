"""The .params format: MXNet's files in, the same bytes out, and nothing but errors from damaged files."""

from __future__ import annotations

import os
import resource
import signal
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind import nd
from symbind.ndarray import save_load

from .recorded import FILES

SIX = np.arange(6).reshape(2, 3)
# What MXNet's files hold; (values, type) by name or position.
CONTENTS = {
    "every_dtype": [
        *((SIX - 2, dtype) for dtype in ("float32", "float64", "float16", "int32", "int8", "int64")),
        (SIX, "uint8"),
        ([True, False, True], "bool"),
    ],
    "names": {
        "arg:fc_weight": ([[1.5, -2]], "float32"), "aux:bn_moving_mean": ([3], "int32"), "é": ([7], "float32"),
    },
    "cpu1": [([1], "float32")],
    "no_elements": [(np.zeros((0, 3)), "float32")],
    "empty_list": [],
    "none": [(np.zeros(0), "float32")],
    "row_sparse": [([[0, 0], [1, 2], [0, 0], [3, 4], [0, 0]], "float32")],
    "row_sparse_empty": {"w": (np.zeros((5, 2)), "float32")},
    "csr": [([[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 0]], "float64")],
    "v0": [([[5, -6]], "int32")],
    "v0_gpu": {"g": ([5, -6], "float32")},
    "v1": [([[1.5, -2]], "float32")],
    "v3": [(5.5, "float32"), (np.zeros((0, 3)), "float32"), ([1, 2], "float32")],
}  # fmt: skip


def same(loaded: object, expected: object) -> None:
    assert type(loaded) is type(expected)
    if isinstance(expected, dict):
        assert list(loaded) == list(expected)
        loaded, expected = list(loaded.values()), list(expected.values())
    for array, (values, dtype) in zip(loaded, expected, strict=True):
        assert array.dtype is np.dtype(dtype).type
        assert array.shape == np.shape(values)
        np.testing.assert_array_equal(array.asnumpy(), values)


@pytest.mark.parametrize("name", FILES)
def test_reading_what_mxnet_wrote(name, tmp_path):
    same(nd.load_frombuffer(FILES[name]), CONTENTS[name])
    same(nd.load_frombuffer(memoryview(bytearray(FILES[name]))), CONTENTS[name])
    path = tmp_path / "arrays.params"
    path.write_bytes(FILES[name])
    same(nd.load(path), CONTENTS[name])
    same(nd.load(str(path)), CONTENTS[name])


@pytest.mark.parametrize(
    "name", ["every_dtype", "names", "cpu1", "no_elements", "empty_list", "row_sparse", "row_sparse_empty", "csr"]
)
def test_writing_the_bytes_that_mxnet_writes(name, tmp_path):
    path = str(tmp_path / "arrays.params")
    nd.save(path, nd.load_frombuffer(FILES[name]))
    with open(path, "rb") as file:
        assert file.read() == FILES[name]
    assert os.listdir(tmp_path) == ["arrays.params"]


def test_what_no_mxnet_file_holds_survives_too(tmp_path):
    path = tmp_path / "arrays.params"
    nd.save(path, [nd.array(5.5), nd.array([1.5, -2], dtype="bfloat16"), nd.array(np.zeros((2, 0, 3)))])
    scalar, brain, empty = nd.load(path)
    assert scalar.shape == ()
    assert scalar.asscalar() == 5.5
    assert brain.tensor.dtype == torch.bfloat16
    assert brain.asnumpy().tolist() == [1.5, -2]
    assert empty.shape == (2, 0, 3)


def test_loaded_arrays_are_aligned_and_writable(tmp_path):
    # A bool array makes everything after it start at an odd byte of the file.
    path = tmp_path / "arrays.params"
    nd.save(path, [nd.array([1], dtype="bool"), nd.arange(3, dtype="float64")])
    _, array = nd.load(path)
    assert array.tensor.data_ptr() % 64 == 0
    array[:] = 7
    same(nd.load(path), [([True], "bool"), ([0, 1, 2], "float64")])


def test_contexts():
    assert nd.load_frombuffer(FILES["cpu1"])[0].context == mx.cpu(1)
    if not mx.num_gpus():
        assert nd.load_frombuffer(FILES["v0_gpu"])["g"].context == mx.cpu(0)


def test_single_arrays_as_bytes():
    array = nd.array([[1, 2]], dtype="int32", ctx=mx.cpu(1))
    back = save_load.from_bytes(save_load.to_bytes(array))
    assert back.context == mx.cpu(1)
    same([back], [([[1, 2]], "int32")])
    # As it stands in a pickle that MXNet made of ones((1,)).
    pickled = bytes.fromhex("c9fa93f9 00000000 01000000 0100000000000000 01000000 00000000 00000000 0000803f")
    same([save_load.from_bytes(pickled)], [([1], "float32")])
    assert save_load.to_bytes(nd.ones((1,))) == pickled
    with pytest.raises(mx.MXNetError, match="1 bytes are left after the end"):
        save_load.from_bytes(pickled + b"x")


def test_arguments():
    for data in (1, "x", None):
        with pytest.raises(TypeError, match="data needs to be"):
            nd.save("never", data)
    for data in ({"a": 1}, [1], {1: nd.ones((1,))}, [nd.ones((1,)), None]):
        with pytest.raises(TypeError, match="save only accept dict str->NDArray or list of NDArray"):
            nd.save("never", data)
    assert not os.path.exists("never")
    for function in (nd.load, lambda name: nd.save(name, [])):
        with pytest.raises(TypeError, match="fname required to be a string"):
            function(3)
    with pytest.raises(TypeError, match="not from str"):
        nd.load_frombuffer("abc")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(mx.MXNetError, match=r"nowhere\.params: No such file"):
        nd.load(tmp_path / "nowhere.params")
    with pytest.raises(mx.MXNetError, match="directory"):
        nd.load(tmp_path)


# ---- damaged files -----------------------------------------------------------------------------------------------


def array_bytes(shape=(2,), magic=0xF993FAC9, storage=0, place=(1, 0), dtype=0, data=bytes(8)) -> bytes:
    header = struct.pack(f"<Iii{len(shape)}q", magic, storage, len(shape), *shape)
    return header + struct.pack("<iii", *place, dtype) + data


def file_bytes(*arrays: bytes, count: int | None = None, names=(), named: int | None = None, end=b"") -> bytes:
    result = struct.pack("<QQQ", 0x112, 0, len(arrays) if count is None else count) + b"".join(arrays)
    result += struct.pack("<Q", len(names) if named is None else named)
    for name in names:
        result += struct.pack("<Q", len(name)) + name
    return result + end


def sparse_bytes(storage: int, stored, shape, indices) -> bytes:
    """A sparse float32 array of ones."""
    result = struct.pack(f"<Iii{len(stored)}q", 0xF993FAC9, storage, len(stored), *stored)
    result += struct.pack(f"<i{len(shape)}q", len(shape), *shape) + struct.pack("<iii", 1, 0, 0)
    for index in indices:
        result += struct.pack("<iiq", 6, 1, len(index))
    result += np.ones(stored, "<f4").tobytes()
    return result + b"".join(np.array(index, "<i8").tobytes() for index in indices)


GOOD = array_bytes()
DAMAGED = {
    "no file of arrays": (b"PK\x03\x04" + bytes(30), "byte 0: this is no file of arrays: it starts with 0x4034b50"),
    "empty": (b"", "header, byte 0: the header needs 16 bytes, but 0 are left"),
    "too many arrays": (file_bytes(GOOD, count=2**60), "byte 24: a list of .* arrays needs .* bytes"),
    "one array too many": (file_bytes(GOOD, count=2), "array 1, byte"),
    "unknown storage": (file_bytes(GOOD, array_bytes(storage=3)), "array 1, byte 68: unknown storage type 3"),
    "unknown element type": (file_bytes(array_bytes(dtype=8)), "array 0, byte 52: unknown element type 8"),
    "unknown device": (file_bytes(array_bytes(place=(4, 0))), r"array 0, byte 44: unknown device \(type 4, number 0\)"),
    "negative device": (file_bytes(array_bytes(place=(1, -1))), "unknown device"),
    "negative dimension": (file_bytes(array_bytes((2, -3))), "array 0, byte 36: shape .* has a negative dimension"),
    "negative rank": (file_bytes(struct.pack("<Iii", 0xF993FAC9, 0, -2) + bytes(30)), "cannot have -2 dimensions"),
    "huge rank": (file_bytes(struct.pack("<Iii", 0xF993FAC9, 0, 2**30) + bytes(30)), "cannot have 1073741824 dim"),
    "unknown version": (file_bytes(struct.pack("<I", 0xF993FACB) + bytes(30)), "array 0, byte 24: .* dimensions"),
    "huge array": (file_bytes(array_bytes((2**40, 2**40))), "array 0, byte 64: an array of shape .* needs .* bytes"),
    "huge array without elements": (file_bytes(array_bytes((0, 2**40, 2**40), data=b"")), "too large"),
    "no dimensions in version 0": (file_bytes(bytes(4) + bytes(30)), "cannot be without dimensions"),
    "trailing bytes": (file_bytes(GOOD, end=b"xyz"), "byte 72: 3 bytes are left after the end"),
    "names for half": (file_bytes(GOOD, GOOD, names=[b"a"]), "names, byte 104: there are 1 names for 2 arrays"),
    "names for nothing": (file_bytes(GOOD, named=2**62), "names for 1 arrays"),
    "long name": (
        file_bytes(GOOD, named=1, end=struct.pack("<Q", 2**62)),
        "name of array 0, byte 80: a name needs 4611686018427387904 bytes, but 0 are left",
    ),
    "name not UTF-8": (file_bytes(GOOD, names=[b"ab\xff"]), "name of array 0, byte 82: a name is not UTF-8"),
    "name twice": (file_bytes(GOOD, GOOD, names=[b"a", b"a"]), "array 1, byte 121: the name 'a' is there twice"),
    "row out of range": (file_bytes(sparse_bytes(1, (1, 2), (3, 2), [[3]])), r"a row number is not in 0\.\.2"),
    "negative row": (file_bytes(sparse_bytes(1, (1, 2), (3, 2), [[-1]])), r"a row number is not in 0\.\.2"),
    "rows of another width": (file_bytes(sparse_bytes(1, (1, 3), (3, 2), [[0]])), "make no array of"),
    "fewer row numbers": (file_bytes(sparse_bytes(1, (2, 2), (3, 2), [[0]])), "make no array of"),
    "column too large": (file_bytes(sparse_bytes(2, (1,), (1, 2), [[0, 1], [2]])), r"column number is not in 0\.\.1"),
    "row starts fall": (file_bytes(sparse_bytes(2, (2,), (3, 2), [[0, 2, 1, 2], [0, 1]])), "must grow from 0 to 2"),
    "row starts end early": (file_bytes(sparse_bytes(2, (2,), (1, 2), [[0, 1], [0, 1]])), "must grow from 0 to 2"),
    # Their differences overflow to small positive numbers.
    "row starts wrap": (
        file_bytes(sparse_bytes(2, (2,), (3, 2), [[0, 2**63 - 1, -2, 2], [0, 1]])), "a row start is not in 0..2",
    ),
    "one number as csr": (file_bytes(sparse_bytes(2, (), (3, 2), [[0, 0, 0, 1], [0]])), "make no csr array"),
    "one number as rows": (
        file_bytes(sparse_bytes(1, (), (), [[0]]).replace(b"\xc9\xfa", b"\xca\xfa", 1)), r"make no array of \(\)",
    ),
    "csr of three dimensions": (file_bytes(sparse_bytes(2, (1,), (1, 2, 2), [[0, 1], [0]])), "make no csr array"),
    "sparse array too large": (file_bytes(sparse_bytes(1, (0, 2**40), (2**40, 2**40), [[]])), "too large"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_an_error_that_names_the_place(what, tmp_path):
    data, text = DAMAGED[what]
    with pytest.raises(mx.MXNetError, match=text):
        nd.load_frombuffer(data)
    path = tmp_path / "broken.params"
    path.write_bytes(data)
    with pytest.raises(mx.MXNetError, match=r"broken\.params, .*" + text):
        nd.load(path)


def test_the_builders_above_make_good_files():
    zeros = ([0, 0], "float32")
    same(nd.load_frombuffer(file_bytes(GOOD, GOOD, names=[b"a", b"b"])), {"a": zeros, "b": zeros})
    rows, csr = sparse_bytes(1, (2, 2), (3, 2), [[2, 0]]), sparse_bytes(2, (4,), (3, 2), [[0, 2, 2, 4], [0, 1, 1, 0]])
    for data in (rows, csr):
        same(nd.load_frombuffer(file_bytes(data)), [([[1, 1], [0, 0], [1, 1]], "float32")])


@pytest.mark.parametrize("name", ["names", "row_sparse_empty", "csr", "v0_gpu", "v1", "v3"])
def test_every_cut_is_noticed(name):
    for length in range(len(FILES[name])):
        with pytest.raises(mx.MXNetError):
            nd.load_frombuffer(FILES[name][:length])


def test_booleans_are_made_of_zero_and_one():
    data = array_bytes((3,), dtype=7, data=bytes([0, 1, 200]))
    (array,) = nd.load_frombuffer(file_bytes(data))
    assert array.tensor.view(torch.uint8).tolist() == [0, 1, 1]


@settings(max_examples=800, deadline=None)
@given(data=st.data())
def test_no_damage_does_harm(data):
    content = bytearray(FILES[data.draw(st.sampled_from(sorted(FILES)))])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["byte", "number", "cut", "repeat"])):
            case "byte":
                content[at] = data.draw(st.integers(0, 255))
            case "number":
                # Counts and dimensions stand at multiples of four.
                number = data.draw(st.sampled_from([-1, -(2**31), 2**31 - 1, 2**20, 0, 1, 7, 33]))
                content[at // 4 * 4 : at // 4 * 4 + 4] = struct.pack("<i", number)
            case "cut":
                del content[at : at + data.draw(st.integers(1, 9))]
            case "repeat":
                content[at:at] = content[at : at + data.draw(st.integers(1, 16))]
        content = content or bytearray(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        nd.load_frombuffer(bytes(content))
    except mx.MXNetError as error:
        assert "byte" in str(error)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024, f"{grown} KiB were taken for a file of {len(content)} bytes"


# ---- all or nothing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["_write_array", "fsync", "replace"])
def test_a_process_killed_while_saving_leaves_the_old_file(moment, tmp_path, monkeypatch):
    path = tmp_path / "arrays.params"
    nd.save(path, {"w": nd.ones((4,))})
    reached, report = os.pipe()
    child = os.fork()
    if child == 0:
        def stop(*args: object) -> None:
            os.write(report, b"!")
            signal.pause()

        module = save_load if moment == "_write_array" else os
        monkeypatch.setattr(module, moment, stop)
        nd.save(path, {"w": nd.zeros((4,)), "v": nd.zeros((4,))})
        os._exit(1)
    assert os.read(reached, 1) == b"!"
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    os.close(reached)
    os.close(report)
    same(nd.load(path), {"w": ([1, 1, 1, 1], "float32")})
    nd.save(path, {"w": nd.zeros((1,))})
    same(nd.load(path), {"w": ([0], "float32")})


def test_an_error_while_saving_leaves_the_old_file(tmp_path):
    path = tmp_path / "arrays.params"
    nd.save(path, [nd.ones((1,))])
    with pytest.raises(UnicodeEncodeError):
        nd.save(path, {"\ud800": nd.zeros((1,))})
    same(nd.load(path), [([1], "float32")])
    assert os.listdir(tmp_path) == ["arrays.params"]
