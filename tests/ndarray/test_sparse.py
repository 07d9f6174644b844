"""Sparse arrays against scipy and against their dense values; what is too large to be dense; and errors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind import nd
from symbind.ndarray.sparse import csr_matrix, row_sparse_array

matrices = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6)).map(
    lambda t: scipy.sparse.random(t[0], t[1], 0.4, "csr", np.float32, np.random.RandomState(t[2]))
)


@settings(max_examples=60, deadline=None)
@given(matrices, st.data())
def test_csr_is_what_scipy_says(matrix, data):
    array = csr_matrix(matrix)
    np.testing.assert_array_equal(array.asnumpy(), matrix.toarray())
    assert (array.asscipy() != matrix).nnz == 0
    start = data.draw(st.integers(0, matrix.shape[0]))
    stop = data.draw(st.integers(start, matrix.shape[0]))
    np.testing.assert_array_equal(array[start:stop].asnumpy(), matrix[start:stop].toarray())
    other = abs(csr_matrix(matrix[::-1].copy()))
    np.testing.assert_allclose((array + other).asnumpy(), array.asnumpy() + other.asnumpy())
    dense = np.random.RandomState(1).uniform(-1, 1, (matrix.shape[1], 3)).astype("float32")
    np.testing.assert_allclose(nd.sparse.dot(array, nd.array(dense)).asnumpy(), matrix @ dense, rtol=1e-5, atol=1e-6)
    dense = np.random.RandomState(2).uniform(-1, 1, (matrix.shape[0], 3)).astype("float32")
    product = nd.sparse.dot(array, nd.array(dense), transpose_a=True)
    np.testing.assert_allclose(product.asnumpy(), matrix.T @ dense, rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(matrices, st.sampled_from(["csr", "row_sparse"]))
def test_storage_changes_no_value(matrix, stype):
    dense = nd.array(matrix.toarray())
    array = dense.tostype(stype)
    assert array.stype == stype
    for same in (array, array.copy(), pickle.loads(pickle.dumps(array)), array.astype("float64"), array.tostype(stype)):
        assert same.stype == stype
        np.testing.assert_array_equal(same.asnumpy(), dense.asnumpy())
    for function in (nd.sin, nd.cos, abs, lambda x: x * 2, lambda x: x > 0.5, lambda x: 1 - x, lambda x: x + x):
        np.testing.assert_allclose(function(array).asnumpy(), function(dense).asnumpy(), rtol=1e-6)
    array += array
    np.testing.assert_allclose(array.asnumpy(), 2 * dense.asnumpy())


def test_nothing_dense_is_made_of_what_is_stored():
    """A table of 4 terabytes, with three rows."""
    rows, numbers = nd.ones((3, 1000)), nd.array([5, 10**9 - 1, 7], dtype="int64")
    table = row_sparse_array((rows, numbers), shape=(10**9, 1000))
    assert (table * 2 + table).data.asnumpy().tolist() == np.full((3, 1000), 3).tolist()
    assert table.retain([7, 8]).data.asnumpy()[:, 0].tolist() == [1, 0]
    with pytest.raises(mx.MXNetError, match=r"Cannot allocate an array of shape \(1000000000, 1000\)"):
        table.asnumpy()
    matrix = csr_matrix(([1.0, 2.0], [3, 10**9 - 1], [0, 1, 2]), shape=(2, 10**9))
    assert (matrix + matrix)[1:].data.asnumpy().tolist() == [4]


def test_operators_without_a_rule_are_dense():
    array = csr_matrix(np.eye(3, dtype="float32"))
    assert nd.concat(array, array, dim=0).asnumpy().tolist() == np.concatenate([np.eye(3)] * 2).tolist()
    assert nd.FullyConnected(array, nd.ones((2, 3)), num_hidden=2, no_bias=True).asnumpy().tolist() == [[1, 1]] * 3


def test_gradients_through_sparse_operands_are_those_of_dense_ones():
    weight = nd.array([[1.0], [2.0], [3.0]])
    weight.attach_grad()
    with mx.autograd.record():
        loss = nd.dot(csr_matrix(np.diag([1.0, 2.0, 4.0]).astype("float32")), weight).sum()
    loss.backward()
    assert weight.grad.asnumpy().ravel().tolist() == [1, 2, 4]


def test_an_executor_takes_sparse_arrays():
    net = mx.sym.FullyConnected(mx.sym.var("data", stype="csr"), num_hidden=2, no_bias=True, name="fc")
    data = csr_matrix(np.array([[0, 2, 0]], "float32"))
    executor = net.bind(mx.cpu(), {"data": data, "fc_weight": nd.ones((2, 3))})
    assert executor.forward()[0].asnumpy().tolist() == [[2, 2]]
    with pytest.raises(mx.MXNetError, match="row_sparse array for fc_weight"):
        net.bind(mx.cpu(), executor.arg_dict, {"fc_weight": row_sparse_array((2, 3))})
    assert executor.forward(data=csr_matrix(np.array([[3, 0, 0]], "float32")))[0].asnumpy().tolist() == [[3, 3]]


def test_writing_into_sparse_arrays():
    array = nd.sparse.zeros("csr", (2, 2))
    nd.elemwise_add(nd.ones((2, 2)), nd.ones((2, 2)), out=array)
    assert array.asnumpy().tolist() == [[2, 2], [2, 2]]
    nd.array([[0, 1], [0, 0]]).copyto(array)
    assert array.indices.asnumpy().tolist() == [1]
    array[:] = 0
    assert array.data.shape == (0,)
    rows = nd.sparse.zeros("row_sparse", (2, 2))
    nd.zeros((2, 2))[:] = rows
    rows[:] = [[0, 0], [0, 3]]
    assert rows.indices.asnumpy().tolist() == [1]


def test_row_sparse_pull():
    store = mx.kv.create()
    store.init("w", row_sparse_array(np.arange(8, dtype="float32").reshape(4, 2) + 1))
    out = [nd.sparse.zeros("row_sparse", (4, 2)) for _ in range(2)]
    store.row_sparse_pull("w", out=out, row_ids=[nd.array([3, 1, 3]), nd.array([0])])
    assert [array.indices.asnumpy().tolist() for array in out] == [[1, 3], [0]]
    assert out[0].data.asnumpy().tolist() == [[3, 4], [7, 8]]
    dense = nd.zeros((4, 2))
    store.pull("w", out=dense)
    assert not dense.asnumpy().any()
    store.pull("w", out=dense, ignore_sparse=False)
    assert dense.asnumpy()[3].tolist() == [7, 8]
    store.push("w", [row_sparse_array(([[1, 1]], [2]), shape=(4, 2)), row_sparse_array(([[1, 1]], [0]), shape=(4, 2))])
    store.row_sparse_pull("w", out=out[0], row_ids=nd.array([0, 1, 2, 3]))
    assert out[0].asnumpy().tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("make", [csr_matrix, lambda m: m])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_of_csr(make, shuffle):
    matrix = scipy.sparse.csr_matrix(np.diag([1, 2, 3, 4, 5]).astype("float32"))
    batches = list(mx.io.NDArrayIter(make(matrix), np.arange(5), 2, shuffle=shuffle, last_batch_handle="discard"))
    assert [batch.data[0].stype for batch in batches] == ["csr", "csr"]
    for batch in batches:
        labels = batch.label[0].asnumpy().astype(int)
        np.testing.assert_array_equal(batch.data[0].asnumpy(), matrix.toarray()[labels])
    with pytest.raises(NotImplementedError, match="discard"):
        mx.io.NDArrayIter(make(matrix), None, 2)


def test_a_module_learns_from_sparse_batches():
    data = scipy.sparse.random(60, 20, 0.2, "csr", np.float32, np.random.RandomState(0))
    labels = (data.toarray()[:, :10].sum(1) > data.toarray()[:, 10:].sum(1)).astype("float32")
    net = mx.sym.dot(mx.sym.var("data", stype="csr"), mx.sym.var("weight", shape=(20, 2)))
    module = mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))
    batches = mx.io.NDArrayIter(data, labels, 20, last_batch_handle="discard")
    module.fit(batches, num_epoch=60, optimizer_params={"learning_rate": 0.5}, initializer=mx.init.Zero())
    assert dict(module.score(batches, "acc"))["accuracy"] > 0.9


PARTS = ([1.0, 2.0], [0, 1], [0, 1, 2])
MISTAKES = {
    "columns": (lambda: csr_matrix(([1.0], [4], [0, 1]), shape=(1, 4)), r"column number is not in 0\.\.3"),
    "negative column": (lambda: csr_matrix(([1.0], [-1], [0, 1]), shape=(1, 4)), "column number"),
    "starts": (lambda: csr_matrix(([1.0, 2.0], [0, 1], [0, 2, 1, 2])), "must grow from 0 to 2"),
    "start": (lambda: csr_matrix(([1.0, 2.0], [0, 1], [1, 2])), "must grow"),
    "lengths": (lambda: csr_matrix(([1.0], [0, 1], [0, 1])), "vectors that fit"),
    "rows": (lambda: csr_matrix(PARTS, shape=(3, 2)), "indptr of length 3"),
    "coordinates": (lambda: csr_matrix(([1.0], ([3], [0])), shape=(2, 2)), "row number"),
    "three dimensions": (lambda: nd.sparse.zeros("csr", (2, 2, 2)), "is a matrix"),
    "row number": (lambda: row_sparse_array(([[1.0]], [2]), shape=(2, 1)), r"row number is not in 0\.\.1"),
    "row width": (lambda: row_sparse_array(([[1.0]], [0]), shape=(2, 2)), "make no array"),
    "kind": (lambda: csr_matrix(row_sparse_array((2, 2))), "Unexpected input type"),
    "dense": (lambda: nd.sparse.array(nd.ones((2, 2))), "see tostype"),
    "steps": (lambda: csr_matrix(PARTS)[0:2:2], "continuous"),
    "two indices": (lambda: csr_matrix(PARTS)[0, 1], "Multi-dimension"),
    "a row of row_sparse": (lambda: row_sparse_array((2, 2))[0], r"only supports \[:\]"),
    "part assigned": (lambda: csr_matrix(PARTS).__setitem__(0, 1), r"only supports \[:\]"),
    "conversion": (lambda: csr_matrix(PARTS).tostype("row_sparse"), "not supported"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_named(what):
    call, message = MISTAKES[what]
    with pytest.raises(ValueError, match=message):
        call()


def test_other_mistakes():
    with pytest.raises(mx.MXNetError, match="more elements than can be numbered"):
        nd.sparse.zeros("row_sparse", (2**40, 2**40))
    with pytest.raises(mx.MXNetError, match="Cannot allocate"):
        nd.sparse.zeros("csr", (2**50, 2))
    with pytest.raises(mx.MXNetError, match="reshape"):
        csr_matrix(PARTS).reshape((4,))
    with pytest.raises(mx.MXNetError, match="outside the 2 rows"):
        row_sparse_array((2, 2)).retain([2])
    with pytest.raises(TypeError, match="str"):
        csr_matrix(PARTS) + "x"
    assert len(list(csr_matrix(PARTS))) == 2
