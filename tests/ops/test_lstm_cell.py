"""The step of an LSTM against the formula, and its gradient against PyTorch's."""

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.base import MXNetError
from symbind.graph.symbol import apply
from symbind.runtime.engines import use_engine


@pytest.mark.parametrize("engine", ["torch", "onednn"])
def test_step_and_gradient(engine):
    step = apply("_lstm_cell", mx.sym.var("gates"), mx.sym.var("cell"))
    with use_engine(engine):
        ex = mx.sym.Group([step[0], step[1]]).simple_bind(mx.cpu(), gates=(5, 48), cell=(5, 12))
    rng = np.random.RandomState(0)
    gates, cell, d_hidden, d_new = (rng.normal(size=shape).astype("f") for shape in [(5, 48), *[(5, 12)] * 3])
    ex.forward(is_train=True, gates=mx.nd.array(gates), cell=mx.nd.array(cell))
    ex.backward([mx.nd.array(d_hidden), mx.nd.array(d_new)])

    x, c = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (gates, cell))
    i, f, g, o = x.chunk(4, 1)
    new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    hidden = torch.sigmoid(o) * torch.tanh(new)
    torch.autograd.backward([hidden, new], [torch.tensor(d_hidden).double(), torch.tensor(d_new).double()])
    for found, expected in zip((*ex.outputs, *ex.grad_arrays), (hidden, new, x.grad, c.grad)):
        np.testing.assert_allclose(found.asnumpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shapes", [((2, 10), (2, 3)), ((2, 12), (3, 3)), ((12,), (3,))])
def test_shapes_that_are_no_gates_are_refused(shapes):
    step = apply("_lstm_cell", mx.sym.var("gates"), mx.sym.var("cell"))
    with pytest.raises(MXNetError):
        step.infer_shape(gates=shapes[0], cell=shapes[1])
