"""The step of a GRU against the formula in float64, and its gradient against PyTorch's."""

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.base import MXNetError
from symbind.graph.symbol import apply
from symbind.runtime.engines import use_engine

NAMES = ("input_gates", "state_gates", "hidden")


@pytest.mark.parametrize("engine", ["torch", "onednn"])
@pytest.mark.parametrize("places", [(), (2, 3)])
def test_step_and_gradient(engine, places):
    step = apply("_gru_cell", *map(mx.sym.var, NAMES))
    shapes = {"input_gates": (5, 36, *places), "state_gates": (5, 36, *places), "hidden": (5, 12, *places)}
    with use_engine(engine):
        ex = step.simple_bind(mx.cpu(), **shapes)
    rng = np.random.RandomState(0)
    x, s, h = arrays = [rng.normal(size=shapes[name]).astype("f") for name in NAMES]
    head = rng.normal(size=h.shape).astype("f")
    ex.forward(is_train=True, **dict(zip(NAMES, map(mx.nd.array, arrays))))
    ex.backward([mx.nd.array(head)])

    x, s, h = inputs = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    (x_r, x_z, x_n), (s_r, s_z, s_n) = x.chunk(3, 1), s.chunk(3, 1)
    z, n = torch.sigmoid(x_z + s_z), torch.tanh(x_n + torch.sigmoid(x_r + s_r) * s_n)
    new = (1 - z) * n + z * h
    new.backward(torch.tensor(head).double())
    for found, expected in zip((*ex.outputs, *ex.grad_arrays), (new, *(a.grad for a in inputs))):
        np.testing.assert_allclose(found.asnumpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shapes", [((2, 10), (2, 9), (2, 3)), ((2, 9), (2, 9), (3, 3)), ((9,), (9,), (3,))])
def test_shapes_that_are_no_gates_are_refused(shapes):
    step = apply("_gru_cell", *map(mx.sym.var, NAMES))
    with pytest.raises(MXNetError):
        step.infer_shape(**dict(zip(NAMES, shapes)))
