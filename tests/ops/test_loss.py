"""Losses: the gradient that reaches the data is the derivative of the loss that the documentation names."""

import numpy as np
import pytest
from scipy import special

import symbind as mx
from symbind.base import MXNetError

from .interpreter import infer

RANDOM = np.random.RandomState(0)


def run(operator, data, label=None, head=None, **params):
    """Output and gradient of the data; checks that the label's gradient buffer stays untouched."""
    names = ["data"] if label is None else ["data", "label"]
    arrays = dict(zip(names, (data, label)))
    symbol = getattr(mx.sym, operator)(*map(mx.sym.var, names), **params)
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    executor = symbol.simple_bind(type_dict=dict.fromkeys(names, "float64"), **shapes)
    for gradient in executor.grad_arrays:
        gradient[:] = 7
    given = {name: mx.nd.array(array, dtype="float64") for name, array in arrays.items()}
    output = executor.forward(is_train=True, **given)[0].asnumpy()
    executor.backward(None if head is None else mx.nd.array(head, dtype="float64"))
    if label is not None:
        np.testing.assert_array_equal(executor.grad_dict["label"].asnumpy(), np.full(np.shape(label), 7))
    return output, executor.grad_dict["data"].asnumpy()


def derivative(loss, data, step=1e-6):
    """Central differences of a function of an array."""
    result = np.empty_like(data)
    for index in np.ndindex(data.shape):
        shifted = [data.copy(), data.copy()]
        shifted[0][index] += step
        shifted[1][index] -= step
        result[index] = (loss(shifted[0]) - loss(shifted[1])) / (2 * step)
    return result


# ---- softmax with cross entropy -----------------------------------------------------------------


def cross_entropy(axis, labels, alpha=0.0, ignored=None):
    """The sum of cross entropies of the softmax along ``axis`` with smoothed labels, as a function of the data."""

    def loss(data):
        logarithms = np.moveaxis(special.log_softmax(data, axis=axis), axis, -1).reshape(-1, data.shape[axis])
        classes = data.shape[axis]
        total = 0.0
        for row, label in zip(logarithms, np.ravel(labels)):
            if ignored is None or label != ignored:
                target = np.full(classes, alpha / (classes - 1))
                target[int(label)] = 1 - alpha
                total -= (target * row).sum()
        return total

    return loss


LAYOUTS = {
    "rows": ({}, (4, 3), (4,), -1),
    "multi_output": ({"multi_output": True}, (2, 3, 4), (2, 4), 1),
    "multi_output of images": ({"multi_output": True}, (2, 3, 2, 2), (2, 2, 2), 1),
    "preserve_shape": ({"preserve_shape": True}, (2, 3, 3), (2, 3), -1),
}


@pytest.mark.parametrize("normalization", ["null", "batch", "valid"])
@pytest.mark.parametrize("ignores", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_softmax_output(layout, alpha, ignores, normalization):
    params, shape, label_shape, axis = LAYOUTS[layout]
    data = RANDOM.randn(*shape)
    labels = np.arange(np.prod(label_shape)).reshape(label_shape) % 3
    output, gradient = run(
        "SoftmaxOutput", data, labels, **params, smooth_alpha=alpha, use_ignore=ignores, ignore_label=2,
        normalization=normalization, grad_scale=1.5,
    )  # fmt: skip
    np.testing.assert_allclose(output, special.softmax(data, axis=axis))

    many = layout.startswith("multi")
    loss = cross_entropy(axis, labels, 0.0 if many else alpha, 2 if ignores else None)
    places = int(np.prod(shape[2:])) if many else 1
    samples = labels.size if layout == "preserve_shape" else shape[0]
    divisor = {"null": places, "batch": places * samples, "valid": (labels != 2).sum()}[normalization]
    np.testing.assert_allclose(gradient, 1.5 / divisor * derivative(loss, data), atol=1e-7)


def test_softmax_output_with_probabilities():
    data, target = RANDOM.randn(3, 4), special.softmax(RANDOM.randn(3, 4), axis=-1)
    _, gradient = run("SoftmaxOutput", data, target, grad_scale=0.5, normalization="batch", use_ignore=True)
    wanted = derivative(lambda x: -0.5 * (target * special.log_softmax(x, axis=-1)).sum(), data)
    np.testing.assert_allclose(gradient, wanted, atol=1e-7)


def test_softmax_output_with_labels_that_are_no_class():
    data = RANDOM.randn(3, 2)
    output, gradient = run("SoftmaxOutput", data, np.array([5.0, -2.0, 1.9]))
    np.testing.assert_array_equal(gradient[:2], output[:2])
    np.testing.assert_allclose(gradient[2], output[2] - [0, 1])


def test_softmax_output_without_valid_labels():
    data = RANDOM.randn(2, 3)
    _, gradient = run("SoftmaxOutput", data, [1, 1], use_ignore=True, ignore_label=1, normalization="valid")
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


def test_softmax_output_multiplied_by_the_output():
    """What MXNet 1.9.1 does with ``out_grad``, whatever the head gradient."""
    data, head = RANDOM.randn(2, 3), RANDOM.randn(2, 3)
    output, gradient = run("SoftmaxOutput", data, [0, 2], head, out_grad=True, grad_scale=2.0)
    np.testing.assert_allclose(gradient, 2 * (output - np.eye(3)[[0, 2]]) * output)


@pytest.mark.parametrize(
    ("data", "label", "params", "told"),
    [
        ((4, 3), None, {}, (4,)),
        ((0, 3), None, {}, (0,)),
        ((4, 3), (4, 3), {}, (4, 3)),
        ((4, 3, 2), None, {}, (4, 3)),
        ((4, 3, 2), None, {"multi_output": True}, (4, 2)),
        ((4, 3, 2, 5), None, {"multi_output": True}, (4, 10)),
        ((4, 3, 2, 5), (4, 2, 5), {"multi_output": True}, (4, 2, 5)),
        ((4, 3, 2, 5), (4, 1, 2, 5), {"multi_output": True}, (4, 1, 2, 5)),
        ((4, 3, 2, 5), (0, 0, 0), {"multi_output": True}, (4, 2, 5)),
        (None, (4,), {}, (4,)),
    ],
)
def test_label_of_softmax_output(data, label, params, told):
    assert infer("SoftmaxOutput", [data, label], **params) == ([data, told], [data])


@pytest.mark.parametrize(("label", "params"), [((5,), {}), ((4, 1), {}), ((4, 3), {"multi_output": True})])
def test_labels_that_do_not_fit_are_refused(label, params):
    with pytest.raises(MXNetError, match="Label of shape"):
        infer("SoftmaxOutput", [(4, 3, 2), label], **params)


def test_softmax_cross_entropy():
    data = RANDOM.randn(4, 3)
    symbol = mx.sym.softmax_cross_entropy(mx.sym.var("data"), mx.sym.var("label"))
    executor = symbol.simple_bind(data=(4, 3), label=(4,), type_dict={"data": "float64", "label": "float64"})
    labels = np.array([0, 2, 1, 7])
    given = {key: mx.nd.array(value, dtype="float64") for key, value in (("data", data), ("label", labels))}
    output = executor.forward(is_train=True, **given)[0].asnumpy()
    executor.backward(mx.nd.array([3.0], dtype="float64"))

    def loss(x):
        return -special.log_softmax(x, axis=-1)[[0, 1, 2], [0, 2, 1]].sum()

    np.testing.assert_allclose(output, [loss(data)])
    np.testing.assert_allclose(executor.grad_dict["data"].asnumpy(), 3 * derivative(loss, data), atol=1e-7)


# ---- regression ---------------------------------------------------------------------------------

DISTANCES = {
    "LinearRegressionOutput": (lambda x: x, lambda x, label: ((x - label) ** 2).sum() / 2),
    "LogisticRegressionOutput": (
        special.expit,
        lambda x, label: -(label * special.log_expit(x) + (1 - label) * special.log_expit(-x)).sum(),
    ),
    "MAERegressionOutput": (lambda x: x, lambda x, label: abs(x - label).sum()),
}


@pytest.mark.parametrize("operator", DISTANCES)
@pytest.mark.parametrize(("shape", "label"), [((4, 3), (4, 3)), ((4, 1), (4,)), ((4,), (4,)), ((2, 3, 2), (2, 6))])
def test_regression(operator, shape, label):
    link, distance = DISTANCES[operator]
    data, label = RANDOM.randn(*shape), RANDOM.uniform(0, 1, label)
    output, gradient = run(operator, data, label, grad_scale=0.5)
    np.testing.assert_allclose(output, link(data))
    wanted = derivative(lambda x: distance(x, label.reshape(shape)), data) * 0.5 / (label.size / len(label))
    np.testing.assert_allclose(gradient, wanted, atol=1e-7)


def test_an_absolute_error_of_zero_counts_as_negative():
    _, gradient = run("MAERegressionOutput", np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]]))
    np.testing.assert_array_equal(gradient, [[-0.5, 0.5]])


@pytest.mark.parametrize("operator", DISTANCES)
def test_label_of_regression(operator):
    assert infer(operator, [(4, 3), None])[0] == [(4, 3), (4, 3)]
    assert infer(operator, [(4, 1), None])[0] == [(4, 1), (4,)]
    assert infer(operator, [(4, 1), (4, 1)])[0] == [(4, 1), (4, 1)]
    assert infer(operator, [(0, 3), None], [(4, 0)])[0] == [(4, 3), (4, 3)]
    for label in ((4,), (12,), (3, 4)):
        with pytest.raises(MXNetError, match="does not fit data of shape"):
            infer(operator, [(4, 3), label])


# ---- support vector machine ---------------------------------------------------------------------


@pytest.mark.parametrize("linear", [False, True])
def test_svm_output(linear):
    data, labels = RANDOM.randn(5, 3), np.array([0, 2, 1, 1, 7])
    params = {"margin": 0.7, "regularization_coefficient": 1.5, "use_linear": linear}
    output, gradient = run("SVMOutput", data, labels, **params)

    def loss(x):
        signs = np.where(np.arange(3) == labels[:, None], 1, -1)
        violation = np.maximum(0, 0.7 - signs * x)
        return 1.5 * (violation if linear else violation**2).sum()

    np.testing.assert_array_equal(output, data)
    np.testing.assert_allclose(gradient, derivative(loss, data), atol=1e-7)


# ---- losses made by the user --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({}, 1),
        ({"grad_scale": 0.5}, 0.5),
        ({"normalization": "batch"}, 1 / 2),
        ({"normalization": "valid"}, 1 / 3),
        ({"normalization": "valid", "valid_thresh": 0.3, "grad_scale": 3.0}, 3 / 2),
        ({"normalization": "valid", "valid_thresh": 9}, 1),
    ],
)
def test_make_loss(params, wanted):
    data = np.array([[-1, 0, 0.5], [2, 0.1, -0.2]])
    for head in (None, np.full((2, 3), 5.0)):
        output, gradient = run("MakeLoss", data, head=head, **params)
        np.testing.assert_array_equal(output, data)
        np.testing.assert_allclose(gradient, np.full((2, 3), wanted))


def test_simple_make_loss():
    data = RANDOM.randn(2, 3)
    output, gradient = run("make_loss", data, head=np.full((2, 3), 5.0))
    np.testing.assert_array_equal(output, data)
    np.testing.assert_array_equal(gradient, np.ones((2, 3)))
    assert mx.sym.make_loss(mx.sym.var("data"), name="l").list_outputs() == ["l_loss"]
