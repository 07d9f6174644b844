"""PythonModule and PythonLossModule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbind as mx

SHAPES = ([("data", (2, 3))], [("softmax_label", (2,))])
BATCH = mx.io.DataBatch([mx.nd.array([[1, 2, 3], [3, 2, 1]])], [mx.nd.array([2, 0])])


def loss(**settings: Any) -> Any:
    module = mx.mod.PythonLossModule(**settings)
    module.bind(*SHAPES)
    module.init_params()
    return module


def softmax_gradient(scores: Any, labels: Any) -> np.ndarray:
    """Of the cross-entropy of softmax(scores), summed over the batch."""
    exponentials = np.exp(scores.asnumpy())
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    probabilities[np.arange(len(probabilities)), labels.asnumpy().astype(int)] -= 1
    return probabilities


def test_scores_pass_through_and_gradients_come_from_the_function() -> None:
    module = loss(grad_func=lambda scores, labels: scores * 2)
    assert (module.data_names, module.output_names) == (["data"], ["pyloss_output"])
    assert module.output_shapes == [("pyloss_output", (2, 3))]
    assert module.get_params() == ({}, {})
    module.forward(BATCH, is_train=True)
    module.backward()
    np.testing.assert_array_equal(module.get_outputs()[0].asnumpy(), [[1, 2, 3], [3, 2, 1]])
    np.testing.assert_array_equal(module.get_input_grads()[0].asnumpy(), [[2, 4, 6], [6, 4, 2]])
    metric = mx.metric.Accuracy()
    module.update_metric(metric, BATCH.label)
    assert metric.get() == ("accuracy", 1.0)


def test_a_loss_of_ones_own_trains_like_softmax_output() -> None:
    scores = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    modules = mx.mod.SequentialModule().add(mx.mod.Module(scores, label_names=None))
    modules.add(mx.mod.PythonLossModule(grad_func=softmax_gradient), take_labels=True, auto_wiring=True)
    weights = []
    for module in (modules, mx.mod.Module(mx.sym.SoftmaxOutput(scores, name="softmax"))):
        module.bind(*SHAPES)
        module.init_params(mx.init.One())
        module.init_optimizer(optimizer_params={"learning_rate": 0.1})
        for _ in range(3):
            module.forward_backward(BATCH)
            module.update()
        weights.append(module.get_params()[0]["fc_weight"].asnumpy())
    np.testing.assert_allclose(*weights, rtol=1e-5)


def test_a_subclass_defines_the_gradient() -> None:
    class Negative(mx.mod.PythonLossModule):
        def _backward_impl(self) -> None:
            self._scores_grad = -self._scores

    module = Negative(name="negative")
    module.bind(*SHAPES)
    module.init_params()
    module.forward(BATCH)
    module.backward()
    assert module.output_names == ["negative_output"]
    np.testing.assert_array_equal(module.get_input_grads()[0].asnumpy(), [[-1, -2, -3], [-3, -2, -1]])


def test_a_module_of_ones_own_in_the_middle() -> None:
    class Doubling(mx.mod.PythonModule):
        def _compute_output_shapes(self) -> Any:
            return [(self.output_names[0], self.data_shapes[0].shape)]

        def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
            self.doubled = data_batch.data[0] * 2

        def get_outputs(self, merge_multi_context: bool = True) -> Any:
            return [self.doubled]

        def backward(self, out_grads: Any = None) -> None:
            self.gradient = out_grads[0] * 2

        def get_input_grads(self, merge_multi_context: bool = True) -> Any:
            return [self.gradient]

    def chain() -> Any:
        modules = mx.mod.SequentialModule()
        modules.add(mx.mod.Module(mx.sym.FullyConnected(num_hidden=3, name="fc"), ["fc_data"], None))
        modules.add(Doubling(["x"], None, ["y"]), auto_wiring=True)
        loss = mx.sym.SoftmaxOutput(mx.sym.Variable("data"), name="softmax")
        return modules.add(mx.mod.Module(loss), take_labels=True, auto_wiring=True)

    scores = mx.sym.FullyConnected(mx.sym.Variable("fc_data"), num_hidden=3, name="fc") * 2
    whole = mx.mod.Module(mx.sym.SoftmaxOutput(scores, name="softmax"), ["fc_data"])
    gradients = []
    for module in (chain(), whole):
        module.bind([("fc_data", (2, 3))], SHAPES[1], inputs_need_grad=True)
        module.init_params(mx.init.Constant(mx.nd.array([[1, 2, 3], [0, 1, 0], [2, 1, 1]])), force_init=True)
        module.forward_backward(BATCH)
        gradients.append(module.get_input_grads()[0].asnumpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5)


def test_mistakes() -> None:
    with pytest.raises(AssertionError, match="one data input"):
        mx.mod.PythonLossModule(data_names=["a", "b"])
    with pytest.raises(AssertionError, match="grad_func"):
        mx.mod.PythonLossModule(grad_func=3)
    with pytest.raises(AssertionError, match="write gradient"):
        mx.mod.PythonLossModule().bind(*SHAPES, grad_req="add")
    with pytest.raises(AssertionError, match="'data'"):
        mx.mod.PythonLossModule().bind([("x", (2, 3))])
    with pytest.raises(NotImplementedError, match="_compute_output_shapes"):
        mx.mod.PythonModule(["data"], None, ["out"]).bind([("data", (2, 3))])
    module = loss()
    with pytest.raises(AssertionError, match="out_grads"):
        module.backward([mx.nd.ones((2, 3))])
    module.forward(BATCH)
    with pytest.raises(NotImplementedError, match="grad_func"):
        module.backward()
