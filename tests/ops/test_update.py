"""Steps of optimizers as operators: in graphs, in place, in single precision, and for many weights at a time.

What each rule computes is compared with MXNet in ``tests/golden/test_updates.py``.
"""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError
from symbind.graph.symbol import apply

W, G, M = np.float32([0.1, 0.2, 0.3]), np.float32([0.5, -0.2, 0.1]), np.float32([0.01, 0.02, -0.03])


def arrays(*values, dtype="float32"):
    return [mx.nd.array(value, dtype=dtype) for value in values]


def test_in_a_graph_states_are_auxiliary_and_the_weight_stays() -> None:
    weight, grad, mom = map(mx.sym.var, ("weight", "grad", "mom"))
    step = mx.sym.sgd_mom_update(weight, grad, mom, lr=0.1, momentum=0.9, name="step")
    assert step.list_arguments() == ["weight", "grad"]
    assert step.list_auxiliary_states() == ["mom"]
    assert step.list_outputs() == ["step_output"]
    executor = step.simple_bind(mx.cpu(), grad_req="null", weight=(3,))
    executor.copy_params_from({"weight": mx.nd.array(W), "grad": mx.nd.array(G)}, {"mom": mx.nd.array(M)})
    for momentum in (0.9 * M - 0.1 * G, 0.9 * (0.9 * M - 0.1 * G) - 0.1 * G):
        (output,) = executor.forward()
        np.testing.assert_allclose(output.asnumpy(), W + momentum, rtol=1e-6)
        np.testing.assert_allclose(executor.aux_dict["mom"].asnumpy(), momentum, rtol=1e-6)
        np.testing.assert_array_equal(executor.arg_dict["weight"].asnumpy(), W)


def test_two_steps_on_the_same_inputs_are_two() -> None:
    inputs = list(map(mx.sym.var, ("weight", "grad", "mom")))
    both = mx.sym.Group([mx.sym.sgd_mom_update(*inputs, lr=0.1, momentum=1.0) for _ in range(2)])
    executor = both.simple_bind(mx.cpu(), grad_req="null", weight=(3,))
    executor.arg_dict["grad"][:] = 1
    first, second = executor.forward()
    np.testing.assert_allclose(first.asnumpy(), [-0.1] * 3, rtol=1e-6)
    np.testing.assert_allclose(second.asnumpy(), [-0.2] * 3, rtol=1e-6)


@pytest.mark.parametrize("given", [["weight"], []])
def test_a_missing_input_is_an_error(given) -> None:
    with pytest.raises(MXNetError, match="Not enough arguments to call operator sgd_update.*grad"):
        mx.sym.sgd_update(*map(mx.sym.var, given), lr=0.1)
    with pytest.raises(MXNetError, match="multi_sgd_update"):
        mx.sym.multi_sgd_update(mx.sym.var("weight"), lrs=(0.1,), wds=(0,), num_weights=1)


def test_a_state_must_be_a_variable() -> None:
    weight, grad, mom = map(mx.sym.var, ("weight", "grad", "mom"))
    with pytest.raises(MXNetError, match="Auxiliary state mom"):
        mx.sym.sgd_mom_update(weight, grad, mom + 1, lr=0.1)


def test_out_is_updated_in_place() -> None:
    weight, grad = arrays(W, G)
    memory = weight.tensor.data_ptr()
    assert mx.nd.sgd_update(weight, grad, lr=0.1, out=weight) is weight
    assert weight.tensor.data_ptr() == memory
    np.testing.assert_allclose(weight.asnumpy(), W - 0.1 * G, rtol=1e-6)
    np.testing.assert_array_equal(grad.asnumpy(), G)


def test_small_steps_are_not_lost_in_half_precision() -> None:
    weight, grad = arrays([1.0], [1.0], dtype="float16")
    master = mx.nd.array([1.0])
    for _ in range(100):
        mx.nd.mp_sgd_update(weight, grad, master, lr=1e-4, out=weight)
    np.testing.assert_allclose(master.asnumpy(), [0.99], rtol=1e-5)
    assert weight.asnumpy() == np.float16(0.99)


def test_both_phases_of_lamb_in_mixed_precision() -> None:
    plain = [*arrays(W, G), *arrays(0 * W, 0 * W)]
    low = arrays(W, G, dtype="float16")
    states, master = arrays(0 * W, 0 * W), mx.nd.array(low[0].asnumpy().astype("float32"))
    one, half = mx.nd.array([1.0]), mx.nd.array([0.5])
    for t in (1, 2):
        direction = mx.nd.lamb_update_phase1(*plain, t=t, wd=0.01)
        mx.nd.lamb_update_phase2(plain[0], direction, one, half, lr=0.1, out=plain[0])
        direction = mx.nd.mp_lamb_update_phase1(*low, *states, master, t=t, wd=0.01)
        assert direction.dtype == np.float32
        mx.nd.mp_lamb_update_phase2(low[0], direction, one, half, master, lr=0.1, out=low[0])
    np.testing.assert_allclose(master.asnumpy(), plain[0].asnumpy(), atol=1e-3)
    np.testing.assert_array_equal(low[0].asnumpy(), master.asnumpy().astype("float16"))


@pytest.mark.parametrize("scale", [0.0, np.inf, np.nan])
def test_adamw_skips_a_step_after_an_overflow(scale) -> None:
    weight, grad, mean, var = arrays(W, G, M, M**2)
    mx.nd._internal._adamw_update(weight, grad, mean, var, mx.nd.array([scale]), lr=0.1, eta=1, out=weight)
    for array, before in ((weight, W), (mean, M), (var, M**2)):
        np.testing.assert_array_equal(array.asnumpy(), before)


def test_adamw_takes_one_number_to_rescale_by() -> None:
    with pytest.raises(MXNetError, match="rescale_grad of _adamw_update is one number"):
        mx.nd._internal._adamw_update(*arrays(W, G, M, M**2, W), lr=0.1, eta=1)


def test_adagrad_by_element_and_by_row() -> None:
    weight, grad = np.float32([[0.1, 0.2], [0.3, 0.4]]), np.float32([[0.5, -0.2], [0.3, 0.1]])
    history = np.float32([[0.2], [0.3]])
    new, state = arrays(weight, history)
    mx.nd.contrib.group_adagrad_update(new, mx.nd.array(grad), state, lr=0.1, epsilon=0.5, out=new)
    # Recorded from MXNet 1.9.1, with the gradient as a row-sparse array.
    np.testing.assert_allclose(new.asnumpy(), [[0.04560717, 0.22175714], [0.26746044, 0.38915348]], rtol=1e-6)
    np.testing.assert_allclose(state.asnumpy(), history + (grad**2).mean(1, keepdims=True), rtol=1e-6)

    new, state = arrays(weight, [[0.2, 0.1], [0.3, 0.3]])
    mx.nd.sparse.adagrad_update(new, mx.nd.array(grad), state, lr=0.1, epsilon=0.5, out=new)
    np.testing.assert_allclose(new.asnumpy(), [[0.04870109, 0.22500001], [0.26820007, 0.3888889]], rtol=1e-6)
    with pytest.raises(MXNetError, match="no weight decay"):
        mx.nd.sparse.adagrad_update(new, mx.nd.array(grad), state, lr=0.1, wd=0.1)


def test_many_weights_are_as_many_steps() -> None:
    one, two = arrays(W, G, M), arrays(M, W, G)
    outputs = mx.nd.multi_sgd_mom_update(
        *one, *two, lrs=(0.1, 0.2), wds=(0.0, 0.01), momentum=0.9, num_weights=2, out=[one[0], two[0]]
    )
    assert outputs[0] is one[0] and outputs[1] is two[0]
    for group, start, rate, decay in ((one, (W, G, M), 0.1, 0.0), (two, (M, W, G), 0.2, 0.01)):
        alone = arrays(*start)
        mx.nd.sgd_mom_update(*alone, lr=rate, wd=decay, momentum=0.9, out=alone[0])
        for array, expected in zip(group, alone):
            np.testing.assert_array_equal(array.asnumpy(), expected.asnumpy())


def test_lamb_for_many_weights_is_both_phases_with_norms() -> None:
    numbers = {"wds": (0.01,), "step_count": (3,), "num_tensors": 1, "learning_rates": (0.1,)}
    weight, grad, mean, var = arrays(W, G, M, M**2)
    direction = mx.nd.lamb_update_phase1(weight, grad, mean.copy(), var.copy(), t=3, wd=0.01)
    expected = mx.nd.lamb_update_phase2(weight, direction, weight.norm(), direction.norm(), lr=0.1).asnumpy()
    low, low_grad = arrays(W, G, dtype="float16")
    master = mx.nd.array(W)
    mx.nd._internal._multi_mp_lamb_update(low, low_grad, mean.copy(), var.copy(), master, **numbers, out=low)
    np.testing.assert_allclose(master.asnumpy(), expected, atol=1e-4)
    np.testing.assert_array_equal(low.asnumpy(), master.asnumpy().astype("float16"))
    new = mx.nd._internal._multi_lamb_update(weight, grad, mean, var, **numbers)
    np.testing.assert_allclose(new.asnumpy(), expected, rtol=1e-6)


def test_weights_of_many_shapes_in_a_graph() -> None:
    names = ("w0", "g0", "m0", "w1", "g1", "m1")
    step = apply("multi_sgd_mom_update", *map(mx.sym.var, names), lrs=(0.1, 0.1), wds=(0, 0), num_weights=2)
    assert step.list_arguments() == ["w0", "g0", "w1", "g1"]
    assert step.list_auxiliary_states() == ["m0", "m1"]
    arguments, outputs, states = step.infer_shape(w0=(2, 3), g1=(4,))
    assert arguments == [(2, 3), (2, 3), (4,), (4,)]
    assert outputs == states == [(2, 3), (4,)]


def test_numbers_of_rates_and_weights_must_agree() -> None:
    with pytest.raises(MXNetError, match="num_weights=2, but lrs holds 1"):
        mx.nd.multi_sgd_update(*arrays(W, G, W, G), lrs=(0.1,), wds=(0, 0), num_weights=2)
    with pytest.raises(MXNetError, match="num_weights of multi_sgd_update must be a number from 1, not 0"):
        mx.nd.multi_sgd_update(lrs=(), wds=(), num_weights=0)


def test_whole_numbers_are_refused() -> None:
    for call in (
        lambda: mx.nd.sgd_update(*arrays([1], [1], dtype="int32"), lr=0.1),
        lambda: mx.nd.all_finite(mx.nd.array([1], dtype="int32")),
    ):
        with pytest.raises(MXNetError, match="floating-point"):
            call()


def test_all_finite_over_several_calls() -> None:
    good, bad = arrays([1.0, 2.0], [1.0, np.inf])
    out = mx.nd.array([1.0])
    verdicts = []
    for array in (good, bad, good):
        mx.nd.all_finite(array, init_output=False, out=out)
        verdicts.append(float(out.asnumpy()[0]))
    assert verdicts == [1, 0, 0]
    assert mx.nd.all_finite(good, out=out).asnumpy() == [1]
    assert mx.nd.multi_all_finite(good, mx.nd.array([np.nan]), num_arrays=2).asnumpy() == [0]


def test_reset_arrays() -> None:
    one, two = arrays([1.0, 2.0], [[3.0]])
    assert mx.nd.reset_arrays(one, two, num_arrays=2) == []
    assert not one.asnumpy().any() and not two.asnumpy().any()
