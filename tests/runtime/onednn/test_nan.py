"""What is not a number stays visible: judged by torch's kernels, which let it through everywhere."""

import numpy as np
import pytest

import symbind as mx
from symbind.runtime.engines import use_engine


def conv(x, **settings):
    return mx.sym.Convolution(x, num_filter=16, **{"kernel": (3, 3), "pad": (1, 1), **settings})


def dense(x):
    return mx.sym.FullyConnected(x, num_hidden=16)


def norm(x):
    return mx.sym.BatchNorm(x, fix_gamma=False)


def relu(x):
    return mx.sym.Activation(x, act_type="relu")


DATA = mx.sym.var("data")
#: What is fused with a rectifier, or another function, by this engine.
FUSED = {
    "convolution": relu(conv(DATA)),
    "separable convolution": relu(conv(DATA, num_group=16)),
    "transposed convolution": relu(mx.sym.Deconvolution(DATA, kernel=(2, 2), stride=(2, 2), num_filter=16)),
    "dense": relu(dense(DATA)),
    "relu": mx.sym.relu(dense(DATA)),
    "sum": relu(conv(DATA) + DATA),
    "two sums": relu(relu(conv(DATA)) + conv(DATA) + DATA),
    "leaky": mx.sym.LeakyReLU(conv(DATA), act_type="leaky", slope=0.1),
    "leaky, not at all": mx.sym.LeakyReLU(conv(DATA), act_type="leaky", slope=0),
    "elu": mx.sym.LeakyReLU(conv(DATA), act_type="elu"),
    "tanh": mx.sym.tanh(dense(DATA)),
    "sigmoid": mx.sym.sigmoid(dense(DATA)),
    "softrelu": mx.sym.Activation(dense(DATA), act_type="softrelu"),
    "normalized": relu(norm(conv(DATA))),
    "residual": relu(norm(conv(DATA)) + DATA),
}


def run(net, engine, training, broken):
    """Outputs, and gradients if ``training``, after one number of the array ``broken`` became NaN."""
    with use_engine(engine):
        executor = net.simple_bind(mx.cpu(), grad_req="write" if training else "null", data=(2, 16, 6, 6))
    rng = np.random.default_rng(0)
    for array in executor.arg_arrays:
        array[:] = rng.normal(size=array.shape)
    for array in executor.aux_arrays:
        array[:] = 1
    name = next(name for name in executor.arg_dict if name.endswith(broken))
    executor.arg_dict[name].reshape(-1)[5:6] = np.nan
    results = list(executor.forward(is_train=training))
    if training:
        executor.backward([mx.nd.ones(output.shape) for output in executor.outputs])
        results += executor.grad_arrays
    return [array.asnumpy() for array in results]


@pytest.mark.parametrize("broken", ["data", "weight"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("net", FUSED.values(), ids=FUSED)
def test_what_is_fused_lets_it_through(net, training, broken):
    actual, expected = (run(net, engine, training, broken) for engine in ("onednn", "torch"))
    assert np.isnan(expected[0]).any()
    for one, other in zip(actual, expected, strict=True):
        # A rectifier after batch normalization shows it in all channels.
        assert (np.isnan(one) >= np.isnan(other)).all()


def test_gradients_of_a_rectified_normalization():
    """What arrives is not a number either, and goes on as it does in torch."""
    net = mx.sym.sum(mx.sym.square(relu(norm(relu(norm(DATA))))))
    for actual, expected in zip(*(run(net, engine, True, "gamma") for engine in ("onednn", "torch")), strict=True):
        assert (np.isnan(actual) >= np.isnan(expected)).all()


@pytest.mark.parametrize("broken", ["gamma", "beta", "data"])
def test_parameters_of_a_rectified_normalization(broken):
    output, *_ = run(relu(norm(DATA)), "onednn", True, broken)
    assert np.isnan(output).all()


def test_statistics_that_are_given_to_a_rectified_normalization():
    with use_engine("onednn"):
        executor = relu(norm(DATA)).simple_bind(mx.cpu(), grad_req="null", data=(2, 16, 6, 6))
    executor.aux_arrays[1][:] = 1
    assert not np.isnan(executor.forward()[0].asnumpy()).any()
    executor.aux_arrays[0][3] = np.nan
    assert np.isnan(executor.forward()[0].asnumpy()).all()
    # It leaves nothing behind.
    executor.aux_arrays[0][:] = 0
    assert not np.isnan(executor.forward()[0].asnumpy()).any()


def test_infinite_statistics_are_numbers():
    with use_engine("onednn"):
        executor = relu(norm(DATA)).simple_bind(mx.cpu(), grad_req="null", data=(2, 2, 6, 6))
    executor.arg_dict["data"][:] = 1
    gamma, beta = executor.arg_arrays[1:]
    gamma[:], beta[:] = np.array([1.0, -1.0]), 2
    executor.aux_arrays[1][:] = np.inf
    np.testing.assert_array_equal(executor.forward()[0].asnumpy(), 2)


def test_the_rectifier_is_one():
    """Whatever the size of a number: it is not found by comparing."""
    sizes = np.float32([0, 1e-37, 1e-30, 1e-3, 1, 1e10, 1e30, 3e38])
    values = np.concatenate([sizes, -sizes])
    with use_engine("onednn"):
        executor = relu(dense(DATA)).simple_bind(mx.cpu(), grad_req="null", data=(1, 16))
    executor.arg_dict["data"][:] = values[None]
    executor.arg_arrays[1][:] = np.eye(16)
    np.testing.assert_array_equal(executor.forward()[0].asnumpy()[0], np.maximum(values, 0))


def network(normalized):
    net = DATA
    for _ in range(2):
        net = conv(net)
        net = relu(norm(net) if normalized else net)
        net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
    return mx.sym.SoftmaxOutput(dense(net), name="softmax")


@pytest.mark.parametrize("normalized", [False, True])
def test_a_training_that_diverges_does_not_look_healthy(normalized):
    with use_engine("onednn"):
        module = mx.mod.Module(network(normalized))
        module.bind([("data", (4, 3, 8, 8))], [("softmax_label", (4,))])
        module.init_params(mx.init.Xavier())
        module.init_optimizer(optimizer_params={"learning_rate": 1e30})
        rng = np.random.default_rng(0)
        batch = mx.io.DataBatch([mx.nd.array(rng.normal(size=(4, 3, 8, 8)))], [mx.nd.array([0, 1, 2, 3])])
        for _ in range(4):
            module.forward_backward(batch)
            module.update()
        module.forward(batch, is_train=True)
        assert np.isnan(module.get_outputs()[0].asnumpy()).all()
        module.forward(batch, is_train=False)
        assert np.isnan(module.get_outputs()[0].asnumpy()).all()
