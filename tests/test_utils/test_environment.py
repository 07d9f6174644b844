"""The surroundings of tests, random arrays, and public data."""

from __future__ import annotations

import bz2
import gzip
import os
import struct
import sys
import zipfile

import numpy as np
import pytest

import symbind as mx
from symbind import test_utils as tu


def test_environment_variables_come_back(monkeypatch):
    monkeypatch.setenv("ONE", "1")
    monkeypatch.delenv("TWO", raising=False)
    with pytest.raises(KeyError), tu.environment({"ONE": None, "TWO": "2"}):
        assert os.environ["TWO"] == "2"
        os.environ["ONE"]
    assert os.environ["ONE"] == "1" and "TWO" not in os.environ
    with tu.EnvManager("ONE", "3"):
        assert os.environ["ONE"] == "3"
    assert tu.set_env_var("ONE", "4") == "1" and os.environ["ONE"] == "4"
    assert tu.set_env_var("TWO", "2", "unset") == "unset"
    monkeypatch.undo()


def test_default_context():
    before = tu.default_context()
    try:
        tu.set_default_context(mx.cpu(3))
        assert tu.default_context() == mx.current_context() == mx.nd.zeros(1).context == mx.cpu(3)
        with mx.cpu(1):
            assert tu.default_context() == mx.cpu(1)
        assert tu.default_context() == mx.cpu(3)
    finally:
        tu.set_default_context(before)
    with pytest.raises(TypeError, match="cpu"):
        tu.set_default_context("cpu")


def test_discarding_errors(capfd):
    with tu.discard_stderr():
        print("unheard", file=sys.stderr)
        os.write(2, b"unheard too")
    print("heard", file=sys.stderr)
    assert capfd.readouterr().err == "heard\n"


def test_assert_exception():
    tu.assert_exception(int, ValueError, "seven")
    with pytest.raises(AssertionError, match="ValueError"):
        tu.assert_exception(int, ValueError, "7")


def test_retry():
    runs = []

    @tu.retry(3)
    def succeeds_at(run):
        runs.append(run)
        assert len(runs) >= run
        return run

    assert succeeds_at(3) == 3 and len(runs) == 3
    runs.clear()
    with pytest.raises(AssertionError):
        succeeds_at(4)
    assert len(runs) == 3
    with pytest.raises(ValueError):
        tu.retry(0)


def test_dummy_iter():
    real = mx.io.NDArrayIter(np.arange(6.0), np.arange(6.0), batch_size=2)
    dummy = tu.DummyIter(real)
    assert (dummy.provide_data, dummy.provide_label, dummy.batch_size) == (real.provide_data, real.provide_label, 2)
    for _ in range(5):
        np.testing.assert_array_equal(next(dummy).data[0].asnumpy(), [0, 1])


def test_im2rec_of_another_folder(tmp_path, monkeypatch):
    script = tmp_path / "tools" / "im2rec.py"
    script.parent.mkdir()
    script.touch()
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    assert tu.get_im2rec_path() == str(script)


def test_random_shapes_and_arrays():
    for _ in range(20):
        assert all(1 <= size <= 4 for size in tu.rand_shape_nd(3, 4))
        assert all(a <= b for a, b in zip(tu.rand_shape_2d(3, 5), (3, 5)))
        assert all(a <= b for a, b in zip(tu.rand_shape_3d(3, 5, 2), (3, 5, 2)))
        x, y = tu.rand_coord_2d(0, 2, 5, 7)
        assert x in (0, 1) and y in (5, 6)
    assert 0 in {size for _ in range(50) for size in tu.rand_shape_nd(2, 2, allow_zero_size=True)}
    one, scalar = tu.random_arrays((2, 3), ())
    assert one.shape == (2, 3) and scalar.shape == () and one.dtype == scalar.dtype == np.float32
    assert tu.random_arrays((2, 3)).shape == (2, 3)
    (uniform,) = tu.random_uniform_arrays((100,), low=2, high=3, dtype=np.float64)
    assert uniform.dtype == np.float64 and uniform.min() >= 2 and uniform.max() < 3
    assert tu.rand_ndarray((2, 3), dtype="float64").dtype == np.float64
    drawn = tu.random_sample(list(range(10)), 4)
    assert len(set(drawn)) == 4
    with pytest.raises(ValueError):
        tu.random_sample([1], 2)


@pytest.mark.parametrize("stype", ["csr", "row_sparse"])
def test_random_sparse_arrays(stype):
    np.random.seed(0)
    array = tu.rand_ndarray((400, 5), stype, density=0.25)
    assert (array.stype, array.dtype) == (stype, np.float32)
    values = array.asnumpy()
    stored = values != 0 if stype == "csr" else (values != 0).any(axis=1)
    assert 0.15 < stored.mean() < 0.35 and values.min() >= 0 and values.max() < 1
    assert not tu.rand_ndarray((4, 5), stype, density=0).asnumpy().any()
    moved = tu.rand_ndarray((40, 5), stype, density=0.5, modifier_func=lambda x: x + 10).asnumpy()
    assert (moved[moved != 0] >= 10).all() == (stype == "row_sparse")


def test_numbered_arrays():
    np.testing.assert_array_equal(tu.create_2d_tensor(3, 2).asnumpy(), [[0, 0], [1, 1], [2, 2]])
    assert tu.create_vector(4).asnumpy().tolist() == [0, 1, 2, 3] and tu.create_vector(4).dtype == np.int64


@pytest.mark.parametrize("axis", [None, 1, -1, (0, 2), (-1, 0)])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reduction(axis, keepdims):
    data = np.arange(24.0).reshape(2, 3, 4)
    expected = data.sum(axis, keepdims=keepdims)
    np.testing.assert_array_equal(tu.np_reduce(data, axis, keepdims, np.sum), expected)


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 1), (1, 1, 4), (1,), ()])
def test_collapsing_is_the_transpose_of_broadcasting(shape):
    random = np.random.default_rng(0)
    wide, narrow = random.normal(size=(2, 3, 4)), random.normal(size=shape)
    collapsed = tu.collapse_sum_like(wide, shape)
    assert collapsed.shape == shape
    assert (collapsed * narrow).sum() == pytest.approx((wide * narrow).sum())
    with pytest.raises(ValueError, match="broadcast"):
        tu.collapse_sum_like(wide, (3, 2))


def test_elementwise_functions():
    values = np.array([[1, -2], [3, 4]])
    np.testing.assert_array_equal(tu.assign_each(values, lambda x: x * 0.5), values / 2)
    np.testing.assert_array_equal(tu.assign_each(values, None), values)
    np.testing.assert_array_equal(tu.assign_each2(values, values, lambda x, y: x * y), values**2)
    with pytest.raises(ValueError, match="differ"):
        tu.assign_each2(values, values[0], lambda x, y: x)


# ---- data ----------------------------------------------------------------------------------------------------------


def test_download_of_a_file(tmp_path):
    source = tmp_path / "source.txt"
    source.write_text("first")
    name = tu.download(source.as_uri(), dirname=str(tmp_path / "new" / "folder"))
    target = tmp_path / "new" / "folder" / "source.txt"
    assert name == str(target) and target.read_text() == "first"
    source.write_text("second")
    assert tu.download(source.as_uri(), name) == name and target.read_text() == "first"
    assert tu.download(source.as_uri(), name, overwrite=True) == name and target.read_text() == "second"
    missing = tmp_path / "missing"
    with pytest.raises(mx.MXNetError, match="put the file at"):
        tu.download((tmp_path / "nothing").as_uri(), str(missing), retries=1)
    assert not missing.exists()


def test_unpacking_downloads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("source.zip", "w") as archive:
        archive.writestr("inside.txt", "zipped")
    tu.get_zip_data("data", (tmp_path / "source.zip").as_uri(), "local.zip")
    assert (tmp_path / "data" / "inside.txt").read_text() == "zipped"
    (tmp_path / "source.bz2").write_bytes(bz2.compress(b"packed"))
    tu.get_bz2_data("data", "unpacked", (tmp_path / "source.bz2").as_uri(), "local.bz2")
    assert (tmp_path / "data" / "unpacked").read_bytes() == b"packed"
    assert not (tmp_path / "data" / "local.bz2").exists()


def write_mnist(folder):
    folder.mkdir(exist_ok=True)
    for part, count in (("train", 6), ("t10k", 4)):
        pixels = np.arange(count * 784, dtype=np.uint8)
        images = struct.pack(">4I", 0x803, count, 28, 28) + pixels.tobytes()
        labels = struct.pack(">2I", 0x801, count) + bytes(range(count))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def test_mnist_from_files_that_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_mnist(tmp_path)
    mnist = tu.get_mnist()
    assert mnist["train_data"].shape == (6, 1, 28, 28) and mnist["train_data"].dtype == np.float32
    assert mnist["train_data"].max() == 1 and mnist["test_label"].tolist() == [0, 1, 2, 3]
    write_mnist(tmp_path / "data")
    train, test = tu.get_mnist_iterator(2, (784,))
    assert next(train).data[0].shape == (2, 784)
    np.testing.assert_array_equal(next(test).label[0].asnumpy(), [0, 1])


def test_data_that_nobody_offers_any_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mx.MXNetError, match="im2rec"):
        tu.get_cifar10()
