"""Executor: binding, gradients and requests, reshaping, monitors, memory."""

import threading

import numpy as np
import pytest

import symbind as mx


def small_net():
    with mx.name.NameManager():
        net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc")
        net = mx.sym.Activation(net, act_type="tanh", name="act")
        return mx.sym.FullyConnected(net, num_hidden=2, name="out")


def filled(executor, seed=0):
    rng = np.random.RandomState(seed)
    for array in executor.arg_arrays:
        array[:] = rng.uniform(-1, 1, array.shape)
    return executor


# ---- binding ------------------------------------------------------------------------------------


def test_simple_bind_allocates_zeros_in_list_order():
    ex = small_net().simple_bind(mx.cpu(), data=(4, 5))
    assert list(ex.arg_dict) == ["data", "fc_weight", "fc_bias", "out_weight", "out_bias"]
    assert [a.shape for a in ex.arg_arrays] == [(4, 5), (3, 5), (3,), (2, 3), (2,)]
    assert all((a.asnumpy() == 0).all() for a in ex.arg_arrays + ex.grad_arrays)
    assert all(a.dtype == np.float32 for a in ex.arg_arrays)


def test_type_dict_and_declared_types():
    ex = small_net().simple_bind(mx.cpu(), type_dict={"data": "float64"}, data=(4, 5))
    assert {a.dtype for a in ex.arg_arrays + ex.outputs} == {np.float64}
    declared = mx.sym.exp(mx.sym.var("x", dtype="float64"))
    assert declared.simple_bind(mx.cpu(), x=(2,)).outputs[0].dtype == np.float64


def test_binding_mistakes_are_named():
    net = small_net()
    with pytest.raises(RuntimeError, match=r"simple_bind error. Arguments:\ndata: \(4, 5\)(.|\n)*fc_weight.*\(7, 7\)"):
        net.simple_bind(mx.cpu(), data=(4, 5), fc_weight=(7, 7))
    with pytest.raises(mx.MXNetError, match="Cannot decide the shapes of"):
        net.simple_bind(mx.cpu())
    with pytest.raises(mx.MXNetError, match="zzz not found"):
        net.simple_bind(mx.cpu(), data=(4, 5), zzz=(1,))
    with pytest.raises(ValueError, match="key `b` is missing in `args`"):
        (mx.sym.var("a") + mx.sym.var("b")).bind(mx.cpu(), {"a": mx.nd.ones((2,))})
    with pytest.raises(ValueError, match="Length of args does not match the number of arguments"):
        (mx.sym.var("a") + mx.sym.var("b")).bind(mx.cpu(), [mx.nd.ones((2,))])
    with pytest.raises(mx.MXNetError, match="elemwise_add|_plus"):
        (mx.sym.var("a") + mx.sym.var("b")).bind(mx.cpu(), [mx.nd.ones((2,)), mx.nd.ones((3,))])
    with pytest.raises(mx.MXNetError, match="gradient array of a has shape"):
        mx.sym.exp(mx.sym.var("a")).bind(mx.cpu(), [mx.nd.ones((2,))], [mx.nd.ones((3,))])
    with pytest.raises(TypeError, match="Context type error"):
        mx.sym.exp(mx.sym.var("a")).bind("cpu", [mx.nd.ones((2,))])
    with pytest.raises(ValueError, match="grad_req of a must be in"):
        mx.sym.exp(mx.sym.var("a")).simple_bind(mx.cpu(), grad_req="sometimes", a=(2,))
    twice = mx.sym.var("a") + mx.sym.var("a")
    with pytest.raises(mx.MXNetError, match=r"more than one variable: \['a'\]"):
        twice.simple_bind(mx.cpu(), a=(2,))


def test_a_gpu_that_is_not_there_is_refused_clearly():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(mx.MXNetError, match="gpu"):
        small_net().simple_bind(mx.gpu(0), data=(4, 5))


# ---- running ------------------------------------------------------------------------------------


def reference(arrays, head):
    """Output and gradients in float64 by hand."""
    x, w1, b1, w2, b2 = (a.asnumpy().astype(np.float64) for a in arrays)
    h = np.tanh(x @ w1.T + b1)
    dh = head @ w2 * (1 - h * h)
    return h @ w2.T + b2, [dh @ w1, dh.T @ x, dh.sum(0), head.T @ h, head.sum(0)]


def test_forward_and_backward_against_float64():
    ex = filled(small_net().simple_bind(mx.cpu(), data=(4, 5)))
    head = np.random.RandomState(1).randn(4, 2)
    out, grads = reference(ex.arg_arrays, head)
    [y] = ex.forward(is_train=True)
    np.testing.assert_allclose(y.asnumpy(), out, rtol=1e-5, atol=1e-6)
    ex.backward(mx.nd.array(head))
    for array, expected in zip(ex.grad_arrays, grads):
        np.testing.assert_allclose(array.asnumpy(), expected, rtol=1e-4, atol=1e-6)


def test_grad_req_may_name_what_the_network_does_not_have():
    requests = {"x": "write", "w": "add", "b": "write"}
    without_bias = mx.sym.FullyConnected(mx.sym.var("x"), mx.sym.var("w"), num_hidden=2, no_bias=True)
    executor = without_bias.simple_bind(mx.cpu(), grad_req=requests, x=(1, 3))
    assert set(executor.grad_dict) == {"x", "w"}


def test_grad_req_write_add_null_per_argument():
    requests = {"data": "null", "fc_weight": "add", "fc_bias": "write", "out_weight": "null", "out_bias": "add"}
    ex = filled(small_net().simple_bind(mx.cpu(), grad_req=requests, data=(4, 5)))
    head = np.random.RandomState(1).randn(4, 2)
    _, grads = reference(ex.arg_arrays, head)
    assert ex.grad_dict["data"] is None and ex.grad_dict["out_weight"] is None
    ex.grad_dict["fc_weight"][:] = 5
    for _ in range(3):
        ex.forward(is_train=True)
        ex.backward(mx.nd.array(head))
    np.testing.assert_allclose(ex.grad_dict["fc_weight"].asnumpy(), 5 + 3 * grads[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ex.grad_dict["fc_bias"].asnumpy(), grads[2], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ex.grad_dict["out_bias"].asnumpy(), 3 * grads[4], rtol=1e-4, atol=1e-5)


def test_a_variable_used_twice_accumulates_once():
    x = mx.sym.var("x")
    ex = (x * x + x).bind(mx.cpu(), {"x": mx.nd.array([3.0])}, {"x": mx.nd.array([100.0])})
    for _ in range(2):
        ex.forward(is_train=True)
        ex.backward(mx.nd.ones((1,)))
        assert ex.grad_dict["x"].asscalar() == 7


def test_head_gradients_in_every_form():
    x = mx.sym.var("x")
    group = mx.sym.Group([mx.sym.exp(x, name="a"), mx.sym.BlockGrad(x, name="b"), x * 2])
    ex = group.simple_bind(mx.cpu(), x=(2,))
    ex.forward(is_train=True)
    with pytest.raises(mx.MXNetError, match=r"head_gradient is required.*a_output"):
        ex.backward()
    ones, names = mx.nd.ones((2,)), group.list_outputs()
    for heads in ([ones, ones, ones], dict(zip(names, [ones] * 3)), [ones, None, ones]):
        ex.backward(heads)
        assert (ex.grad_dict["x"].asnumpy() == 3).all()
    with pytest.raises(mx.MXNetError, match=f"head gradient of output {names[2]} is required"):
        ex.backward([ones, ones])
    with pytest.raises(mx.MXNetError, match="4 head gradients for 3 outputs"):
        ex.backward([ones] * 4)
    with pytest.raises(mx.MXNetError, match=r"has shape \(3,\), expected \(2,\)"):
        ex.backward([mx.nd.ones((3,)), ones, ones])


def test_head_gradients_end_where_only_losses_follow():
    x = mx.sym.var("x")
    group = mx.sym.Group([x * 2, mx.sym.MakeLoss(x * x), mx.sym.BlockGrad(x)])
    ex = group.bind(mx.cpu(), {"x": mx.nd.array([3.0])}, {"x": mx.nd.zeros((1,))})
    for heads in (mx.nd.ones((1,)), [mx.nd.ones((1,))], [mx.nd.ones((1,)), None]):
        ex.forward(is_train=True)
        ex.backward(heads)
        assert ex.grad_dict["x"].asscalar() == 2 + 2 * 3
    with pytest.raises(mx.MXNetError, match="is required"):
        ex.backward([])


def test_a_loss_needs_no_head_gradient():
    net = mx.sym.SoftmaxOutput(small_net(), name="softmax")
    ex = filled(net.simple_bind(mx.cpu(), data=(4, 5)))
    ex.arg_dict["softmax_label"][:] = [0, 1, 1, 0]
    ex.grad_dict["softmax_label"][:] = 7
    ex.forward(is_train=True)
    ex.backward()
    assert np.abs(ex.grad_dict["fc_weight"].asnumpy()).max() > 0
    assert (ex.grad_dict["softmax_label"].asnumpy() == 7).all(), "label gradients are left untouched"


def test_gradients_are_untouched_until_backward():
    ex = filled(small_net().simple_bind(mx.cpu(), data=(4, 5)))
    ex.forward(is_train=True)
    ex.backward(mx.nd.ones((4, 2)))
    before = [g.asnumpy() for g in ex.grad_arrays]
    for mode in (True, False):
        ex.forward(is_train=mode)
        assert all((a == b.asnumpy()).all() for a, b in zip(before, ex.grad_arrays))


def test_outputs_stay_the_same_arrays_and_survive_backward():
    ex = filled(small_net().simple_bind(mx.cpu(), data=(4, 5)))
    first = ex.forward(is_train=True)[0]
    values = first.asnumpy()
    ex.backward(mx.nd.ones((4, 2)))
    assert (first.asnumpy() == values).all()
    assert ex.forward()[0] is first and ex.outputs[0] is first


def test_outputs_do_not_alias_arguments():
    x = mx.sym.var("x")
    ex = mx.sym.Group([x, mx.sym.Reshape(x, shape=(-1,)), mx.sym.identity(x)]).simple_bind(mx.cpu(), x=(2, 2))
    ex.arg_dict["x"][:] = 1
    outputs = ex.forward()
    ex.arg_dict["x"][:] = 2
    assert all((out.asnumpy() == 1).all() for out in outputs)


def test_forward_keywords():
    ex = small_net().simple_bind(mx.cpu(), data=(4, 5))
    value = np.random.randn(4, 5)
    ex.forward(data=value)
    np.testing.assert_allclose(ex.arg_dict["data"].asnumpy(), value, rtol=1e-6)
    with pytest.raises(TypeError, match="Unknown argument dat"):
        ex.forward(dat=value)
    with pytest.raises(ValueError, match=r"need: \(4, 5\), received: \(5, 4\)"):
        ex.forward(data=value.T)


def test_labels_nobody_differentiates_do_not_stop_a_gradient():
    gradient = mx.sym.LinearRegressionOutput(mx.sym.var("x"), mx.sym.var("y")).gradient(["x"])
    assert set(gradient.list_arguments()) == {"x", "y"}
    [dx] = gradient.eval(mx.cpu(), x=mx.nd.array([[3.0]]), y=mx.nd.array([1.0]))
    assert dx.asnumpy().item() == 2


def test_second_derivative_of_a_gradient_symbol():
    x = mx.sym.var("x")
    first = mx.sym.tanh(x * x).gradient("x")
    second = first.gradient("x")
    values = np.array([0.3, -0.7])
    heads = {name: mx.nd.ones((2,), dtype="float64") for name in second.list_arguments() if name != "x"}
    [result] = second.eval(mx.cpu(), x=mx.nd.array(values, dtype="float64"), **heads)
    t = np.tanh(values**2)
    expected = 2 * (1 - t * t) - 8 * values**2 * t * (1 - t * t)
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-12)


# ---- other shapes and parameters ----------------------------------------------------------------


def test_reshape_shares_parameters():
    ex = filled(small_net().simple_bind(mx.cpu(), data=(4, 5)))
    smaller = ex.reshape(data=(2, 5))
    smaller.arg_dict["fc_weight"][:] = 9
    assert (ex.arg_dict["fc_weight"].asnumpy() == 9).all()
    assert smaller.forward()[0].shape == (2, 2)
    with pytest.raises(mx.MXNetError, match="larger than original"):
        ex.reshape(data=(8, 5))
    assert ex.reshape(allow_up_sizing=True, data=(8, 5)).forward()[0].shape == (8, 2)
    with pytest.raises(mx.MXNetError, match="unspecified array"):
        ex.reshape(data=(4, 3))
    with pytest.raises(mx.MXNetError, match="unknown argument"):
        ex.reshape(date=(4, 5))


def test_reshape_down_and_up_as_in_mxnet():
    ex = filled(small_net().simple_bind(mx.cpu(), data=(4, 5)))
    smaller = ex.reshape(data=(2, 5))
    np.testing.assert_array_equal(smaller.arg_dict["data"].asnumpy(), ex.arg_dict["data"].asnumpy()[:2])
    smaller.arg_dict["data"][:] = 5
    assert (ex.arg_dict["data"].asnumpy()[:2] == 5).all() and (ex.arg_dict["data"].asnumpy()[2:] < 1).all()
    with pytest.raises(mx.MXNetError, match=r"arg: data: \(4, 5\) is larger than original \(2, 5\)"):
        smaller.reshape(data=(4, 5))  # that there was more once is forgotten
    narrower = ex.reshape(partial_shaping=True, data=(4, 3))
    assert narrower.arg_dict["fc_weight"].shape == narrower.grad_dict["fc_weight"].shape == (3, 3)
    narrower.arg_dict["fc_weight"][:] = 7
    assert (ex.arg_dict["fc_weight"].asnumpy().ravel()[:9] == 7).all()
    with pytest.raises(mx.MXNetError, match="arg: fc_weight: .* is larger than original"):
        ex.reshape(partial_shaping=True, data=(2, 6))
    wider = ex.reshape(partial_shaping=True, allow_up_sizing=True, data=(2, 6))
    assert wider.arg_dict["fc_weight"].shape == (3, 6) and wider.arg_dict["fc_bias"] is ex.arg_dict["fc_bias"]


def test_reshaped_executors_take_turns():
    """On parameters that stay as kernels want them, and in one arena."""

    def network():
        net = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=16, name="conv")
        return mx.sym.FullyConnected(mx.sym.Activation(net, act_type="relu"), num_hidden=2, name="out")

    large = filled(network().simple_bind(mx.cpu(), data=(4, 16, 6, 6)))
    executors = [large, large.reshape(data=(2, 16, 6, 6)), large.reshape(data=(1, 16, 6, 6))]
    for _ in range(2):
        for executor in executors:
            executor.arg_dict["data"][:] = 0.1
            executor.forward(is_train=True)
            executor.backward(mx.nd.ones(executor.outputs[0].shape))
            alone = network().bind(mx.cpu(), {name: array.copy() for name, array in executor.arg_dict.items()})
            np.testing.assert_allclose(executor.outputs[0].asnumpy(), alone.forward()[0].asnumpy(), rtol=1e-5)
            executor.arg_dict["conv_weight"] -= 0.01 * executor.grad_dict["conv_weight"]


def test_copy_params_from():
    ex = small_net().simple_bind(mx.cpu(), data=(4, 5))
    ex.copy_params_from({"fc_bias": mx.nd.ones((3,), dtype="float64")})
    assert (ex.arg_dict["fc_bias"].asnumpy() == 1).all()
    with pytest.raises(ValueError, match='Find name "zz" that is not in the arguments'):
        ex.copy_params_from({"fc_bias": mx.nd.zeros((3,)), "zz": mx.nd.ones((1,))})
    assert (ex.arg_dict["fc_bias"].asnumpy() == 1).all(), "nothing is copied when a name is wrong"
    ex.copy_params_from({"zz": mx.nd.ones((1,))}, allow_extra_params=True)


# ---- looking inside -----------------------------------------------------------------------------


def test_monitor_sees_every_node_and_can_be_removed():
    ex = filled(small_net().simple_bind(mx.cpu(), data=(4, 5)))
    plain = ex.forward(is_train=True)[0].asnumpy()
    seen = {}
    ex.set_monitor_callback(lambda name, array: seen.update({name.decode(): array.asnumpy()}))
    ex.forward(is_train=True)
    assert list(seen) == ["fc_output", "act_output", "out_output"]
    np.testing.assert_allclose(np.tanh(seen["fc_output"]), seen["act_output"], rtol=1e-6)
    np.testing.assert_allclose(seen["out_output"], plain, rtol=1e-6)
    ex.backward(mx.nd.ones((4, 2)))
    seen.clear()
    ex.set_monitor_callback(lambda name, array: seen.update({name.decode(): 1}), monitor_all=True)
    ex.forward()
    assert {"data", "fc_data", "fc_weight", "act_data", "out_bias"} <= set(seen)
    seen.clear()
    ex.set_monitor_callback(None)
    ex.forward()
    assert not seen


def test_memory_plan_counts_what_is_held():
    ex = small_net().simple_bind(mx.cpu(), data=(4, 5))
    plan = ex.memory_plan()
    assert plan.arguments == 4 * (20 + 15 + 3 + 6 + 2) == plan.gradients
    assert plan.arena_lower_bound <= plan.arena <= plan.arena_without_sharing + 64
    assert "arena" in str(plan)
    assert ex.debug_str().splitlines()[-2].startswith("Total ")


def test_inference_needs_less_memory_than_training():
    net = mx.sym.var("data")
    for i in range(20):
        net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=64, name=f"fc{i}"), act_type="tanh")
    training = net.simple_bind(mx.cpu(), data=(32, 64)).memory_plan()
    inference = net.simple_bind(mx.cpu(), grad_req="null", data=(32, 64)).memory_plan()
    assert inference.arena <= 3 * 32 * 64 * 4 + 1024  # two layers, and what a kernel needs to work in
    assert training.arena > 5 * inference.arena


def test_shared_executor_shares_arena_and_named_arguments():
    net = small_net()
    big = net.simple_bind(mx.cpu(), data=(64, 5))
    small = net.simple_bind(mx.cpu(), data=(4, 5), shared_exec=big, shared_arg_names=["fc_weight"])
    small.arg_dict["fc_weight"][:] = 3
    assert (big.arg_dict["fc_weight"].asnumpy() == 3).all()
    assert (big.arg_dict["fc_bias"].asnumpy() == 0).all()
    assert small._prepare(True).arena.bytes.data_ptr() == big._prepare(True).arena.bytes.data_ptr()


def test_two_executors_in_two_threads():
    nets = [filled(small_net().simple_bind(mx.cpu(), data=(16, 5)), seed) for seed in (1, 2)]

    def run(ex, results):
        for _ in range(50):
            ex.forward(is_train=True)
            ex.backward(mx.nd.ones((16, 2)))
            results.append([g.asnumpy() for g in ex.grad_arrays])

    alone: list = [[], []]
    for ex, results in zip(nets, alone):
        run(ex, results)
    together: list = [[], []]
    threads = [threading.Thread(target=run, args=pair) for pair in zip(nets, together)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(alone, together):
        for x, y in zip(a, b):
            assert all((u == v).all() for u, v in zip(x, y))


def test_plan_report_lists_and_times_every_instruction():
    ex = filled(small_net().simple_bind(mx.cpu(), data=(4, 5)))
    ex.forward(is_train=True)
    report = ex.plan_report(timed_runs=2)
    names = [name for row in report.rows for name in row.name.split("+")]
    assert {"fc", "act", "out"} <= set(names)
    assert {row.phase for row in report.rows} == {"forward", "backward"}
    assert all(row.milliseconds is not None for row in report.rows)
    assert "GFLOP/s" in str(report) and not report.references
