"""Networks whose nodes are fused compute what they say: judged by torch's kernels in float64, one node at a time."""

import numpy as np
import pytest

import symbind as mx
from symbind.graph.node import Entry
from symbind.runtime.engines import use_engine


def conv(x, filters, kernel=3, stride=1, **kwargs):
    pad = kernel // 2
    return mx.sym.Convolution(
        x, num_filter=filters, kernel=(kernel, kernel), stride=(stride, stride), pad=(pad, pad), **kwargs
    )


def norm(x, **kwargs):
    return mx.sym.BatchNorm(x, **{"fix_gamma": False, "eps": 1e-3, **kwargs})


def relu(x, **kwargs):
    return mx.sym.Activation(x, act_type="relu", **kwargs)


class Pair:
    """A network on oneDNN in float32 and, as a judge, on torch in float64, with the same random numbers."""

    def __init__(self, net, grad_req="null", shape=(2, 16, 8, 8), seed=0, **others):
        shapes = {"data": shape, **others}
        self.net = net
        with use_engine("onednn"):
            self.fast = net.simple_bind(mx.cpu(), grad_req=grad_req, **shapes)
        with use_engine("torch"):
            types = dict.fromkeys([*net.list_arguments(), *net.list_auxiliary_states()], "float64")
            self.exact = net.simple_bind(mx.cpu(), grad_req=grad_req, type_dict=types, **shapes)
        rng = np.random.RandomState(seed)
        for name, array in self.arrays(self.fast).items():
            low, high = (0.5, 1.5) if name.endswith(("gamma", "var")) else (-1, 1)
            values = rng.uniform(low, high, array.shape)
            # So that nothing saturates: where 1 - tanh² is nearly nothing, float32 has nothing to compare.
            self.set(name, values / np.sqrt(np.prod(array.shape[1:])) if name.endswith("weight") else values)

    @staticmethod
    def arrays(executor):
        return {**executor.arg_dict, **executor.aux_dict}

    def set(self, name, values):
        values = np.asarray(values, "float32")
        self.arrays(self.fast)[name][:] = values
        self.arrays(self.exact)[name][:] = values

    def check(self, is_train=False, tolerance=1e-5):
        outputs = [e.forward(is_train=is_train) for e in (self.fast, self.exact)]
        for name, actual, expected in zip(self.net.list_outputs(), *outputs):
            assert_close(name, actual, expected, tolerance)

    def check_step(self, is_train=True, tolerance=2e-5):
        """Outputs, gradients and what becomes of the moving statistics."""
        rng = np.random.RandomState(1)
        self.check(is_train)
        heads = [rng.uniform(-1, 1, output.shape).astype("float32") for output in self.fast.outputs]
        self.fast.backward([mx.nd.array(h) for h in heads])
        self.exact.backward([mx.nd.array(h.astype("float64"), dtype="float64") for h in heads])
        for name, gradient in self.fast.grad_dict.items():
            if gradient is not None:
                assert_close(f"gradient of {name}", gradient, self.exact.grad_dict[name], tolerance)
        for name, array in self.arrays(self.fast).items():
            assert_close(name, array, self.arrays(self.exact)[name], tolerance)

    def operators(self, is_train=False):
        return [row.operator for row in self.fast.plan_report(is_train=is_train).rows]


def assert_close(what, actual, expected, tolerance):
    actual, expected = actual.asnumpy().astype("float64"), expected.asnumpy()
    error = np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-6)
    assert error <= tolerance, f"{what} is wrong by {error:.2g}"


def bottleneck(x, filters, stride, project):
    """A block of a residual network."""
    body = relu(norm(conv(x, filters, 1, no_bias=True)))
    body = relu(norm(conv(body, filters, 3, stride, no_bias=True)))
    body = norm(conv(body, filters * 2, 1, no_bias=True))
    shortcut = norm(conv(x, filters * 2, 1, stride, no_bias=True)) if project else x
    return relu(body + shortcut)


def residual_net():
    net = relu(norm(conv(mx.sym.var("data"), 16, 3, no_bias=True)))
    net = bottleneck(net, 16, 1, project=True)
    net = bottleneck(net, 16, 1, project=False)
    net = bottleneck(net, 32, 2, project=True)
    net = mx.sym.Pooling(net, global_pool=True, kernel=(1, 1), pool_type="avg")
    return mx.sym.FullyConnected(net, num_hidden=5)


def preactivated_net():
    net = conv(mx.sym.var("data"), 16, no_bias=True)
    for _ in range(2):
        body = conv(relu(norm(net)), 16, no_bias=True)
        body = conv(relu(norm(body)), 16, no_bias=True)
        net = net + body
    return relu(norm(net))


# ---- inference ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [conv, lambda x, n: mx.sym.FullyConnected(x, num_hidden=n)])
def test_a_slope_that_is_learned_is_no_addend(layer):
    Pair(mx.sym.LeakyReLU(layer(mx.sym.var("data"), 8), act_type="prelu")).check()


@pytest.mark.parametrize("no_bias", [True, False])
def test_a_deconvolution_of_many_channels(no_bias):
    """The library has a kernel that cuts them into parts, and adds a bias and does what follows for each part."""
    net = mx.sym.Deconvolution(
        mx.sym.var("data"), num_filter=32, kernel=(4, 4), stride=(2, 2), pad=(1, 1), no_bias=no_bias
    )
    for follower in (norm, relu, lambda x: x):
        Pair(follower(net), shape=(1, 512, 8, 6)).check()


def test_a_residual_net_for_inference_is_convolutions_only():
    pair = Pair(residual_net())
    pair.check()
    left = [name for name in pair.operators() if name not in ("_convert_layout", "Pooling", "FullyConnected")]
    # Eleven layers, of which two are projections without a rectifier.
    assert sorted(left) == ["Convolution"] * 2 + ["_fused_Convolution"] * 10


def test_normalizations_that_cannot_be_folded_take_their_rectifier():
    pair = Pair(preactivated_net())
    pair.check()
    operators = pair.operators()
    assert "Activation" not in operators
    assert "BatchNorm" not in operators
    assert "_fused_BatchNorm_relu" in operators


@pytest.mark.parametrize(
    "layer",
    [
        lambda x: conv(x, 8, no_bias=True),
        lambda x: conv(x, 8),
        lambda x: conv(x, 6, 3, 2, num_group=2),
        lambda x: conv(x, 16, 3, num_group=16),
        lambda x: mx.sym.Convolution(mx.sym.Reshape(x, shape=(0, 0, -1)), kernel=(3,), num_filter=5),
        lambda x: conv(mx.sym.transpose(x, axes=(0, 2, 3, 1)), 8, layout="NHWC"),
        lambda x: mx.sym.Deconvolution(x, num_filter=6, kernel=(3, 3), stride=(2, 2)),
        lambda x: mx.sym.Deconvolution(x, num_filter=6, kernel=(2, 2), no_bias=False),
        lambda x: mx.sym.FullyConnected(x, num_hidden=7),
        lambda x: mx.sym.FullyConnected(x, num_hidden=7, no_bias=True, flatten=False),
    ],
    ids=[
        "no bias",
        "bias",
        "groups",
        "depthwise",
        "one axis",
        "channel last",
        "transposed",
        "transposed with bias",
        "dense",
        "dense over one axis",
    ],
)
@pytest.mark.parametrize("fix_gamma", [True, False])
def test_folding_into_every_kind_of_layer(layer, fix_gamma):
    net = layer(mx.sym.var("data"))
    last = net.attr("layout") == "NHWC" or net.attr("flatten") == "False"
    pair = Pair(relu(norm(net, fix_gamma=fix_gamma, axis=-1 if last else 1)))
    pair.check()
    assert not any("BatchNorm" in name for name in pair.operators())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: mx.sym.Activation(x, act_type="relu"),
        lambda x: mx.sym.Activation(x, act_type="sigmoid"),
        lambda x: mx.sym.Activation(x, act_type="tanh"),
        lambda x: mx.sym.Activation(x, act_type="softrelu"),
        lambda x: mx.sym.Activation(x, act_type="softsign"),
        lambda x: mx.sym.LeakyReLU(x, slope=0.1),
        lambda x: mx.sym.LeakyReLU(x, act_type="elu", slope=0.7),
        lambda x: mx.sym.LeakyReLU(x, act_type="selu"),
        lambda x: mx.sym.clip(x, a_min=-0.5, a_max=0.7),
        mx.sym.relu,
        mx.sym.sigmoid,
        mx.sym.tanh,
        lambda x: mx.sym.relu(mx.sym.tanh(x)),
        lambda x: mx.sym.tanh(x) + mx.sym.var("other"),
        lambda x: mx.sym.var("other") + mx.sym.tanh(x + mx.sym.var("third")),
    ],
)
@pytest.mark.parametrize("layer", ["convolution", "odd convolution", "deconvolution", "dense", "sum"])
def test_functions_after_a_layer(layer, function):
    x = mx.sym.var("data")
    net, shape = {
        "convolution": lambda: (conv(x, 16), (2, 16, 8, 8)),
        "deconvolution": lambda: (mx.sym.Deconvolution(x, num_filter=6, kernel=(3, 3)), (2, 6, 10, 10)),
        "odd convolution": lambda: (conv(x, 5), (2, 5, 8, 8)),
        "dense": lambda: (mx.sym.FullyConnected(x, num_hidden=9), (2, 9)),
        "sum": lambda: (x + mx.sym.var("more"), (2, 16, 8, 8)),
    }[layer]()
    net = function(net)
    more = {name: shape for name in ("other", "third", "more") if name in net.list_arguments()}
    pair = Pair(net, "write", **more)
    pair.check()
    pair.check_step()


def test_grouped_transposed_convolutions_are_left_alone():
    net = mx.sym.Deconvolution(mx.sym.var("data"), num_filter=6, kernel=(3, 3), num_group=2)
    pair = Pair(relu(norm(net)))
    pair.check()
    assert "_fused_BatchNorm_relu" in pair.operators()


def test_a_residual_is_accumulated_into_in_place():
    pair = Pair(residual_net())
    program = pair.fast._prepare(False)
    nodes = [instruction.step for instruction in program.instructions["forward"][False]]
    sums = [node for node in nodes if node.op.name == "_fused_Convolution" and len(node.inputs) == 4]
    assert len(sums) == 3
    places = program.plan.places
    assert all(places[Entry(node)] == places[node.inputs[3]] for node in sums)


def test_a_residual_that_is_needed_again_is_not_overwritten():
    x = conv(mx.sym.var("data"), 16)
    joined = relu(conv(x, 16) + x)
    pair = Pair(joined * conv(x, 16) + x)
    pair.check()
    pair.check()


def test_the_data_itself_as_a_residual_is_not_overwritten():
    x = mx.sym.var("data")
    pair = Pair(relu(conv(x, 16) + x))
    before = pair.fast.arg_dict["data"].asnumpy()
    pair.check()
    assert (pair.fast.arg_dict["data"].asnumpy() == before).all()


def test_a_value_added_to_itself():
    x = conv(mx.sym.var("data"), 16)
    Pair(relu(x + x)).check()


def test_parameters_that_change_between_runs_are_folded_anew():
    pair = Pair(residual_net())
    pair.check()
    rng = np.random.RandomState(5)
    for suffix in ("weight", "gamma", "beta", "moving_mean", "moving_var"):
        name = next(name for name in pair.arrays(pair.fast) if name.endswith(suffix))
        before = pair.fast.outputs[0].asnumpy()
        pair.set(name, rng.uniform(0.6, 1.4, pair.arrays(pair.fast)[name].shape))
        pair.check()
        assert not np.allclose(before, pair.fast.outputs[0].asnumpy(), rtol=1e-4)


def test_folded_weights_are_kept_once_in_the_layout_that_is_read():
    pair = Pair(relu(norm(conv(mx.sym.var("data"), 16, name="conv"))))
    weights = pair.fast.arg_dict["conv_weight"].size * 4
    assert weights < pair.fast.memory_plan().prepared < 1.1 * weights + pair.fast.arg_dict["data"].size * 4


def test_one_of_several_parameters_changes():
    """What was folded before shares its memory with what runs: none of it may be taken for still there."""
    pair = Pair(residual_net())
    pair.check()
    for name in [name for name in pair.fast.arg_dict if name.endswith("beta")]:
        pair.set(name, np.full(pair.fast.arg_dict[name].shape, 0.3))
        pair.check()


def test_fixed_gamma_is_set_to_one_and_folding_settles():
    pair = Pair(norm(conv(mx.sym.var("data"), 8), fix_gamma=True, name="bn"))
    pair.check()
    assert (pair.fast.arg_dict["bn_gamma"].asnumpy() == 1).all()
    pair.check()
    version = pair.fast.arg_dict["bn_gamma"].tensor._version
    pair.check()
    assert pair.fast.arg_dict["bn_gamma"].tensor._version == version


def test_a_weight_shared_by_layers_with_normalizations_of_their_own():
    x, weight = mx.sym.var("data"), mx.sym.var("shared_weight")
    first = relu(norm(conv(x, 16, weight=weight, no_bias=True)))
    second = relu(norm(conv(first, 16, weight=weight, no_bias=True)))
    Pair(second).check()
    Pair(second, "write").check_step(tolerance=5e-5)


def test_statistics_that_are_shown_are_computed():
    net = norm(conv(mx.sym.var("data"), 8), output_mean_var=True)
    pair = Pair(mx.sym.Group([relu(net[0]), net[1], net[2]]))
    pair.check()
    pair.check(is_train=True)


def test_outputs_inside_of_what_could_be_fused():
    net = residual_net()
    internals = net.get_internals()
    names = [n for n in internals.list_outputs() if n.endswith("_output") and not n.startswith("fullyc")]
    pair = Pair(mx.sym.Group([internals[name] for name in names]))
    pair.check()
    Pair(mx.sym.Group([internals[names[2]], net])).check()


def test_inference_with_statistics_of_the_batch_is_not_folded():
    pair = Pair(residual_net())
    pair.check(is_train=True)
    pair.check(is_train=False)


def test_a_monitor_sees_every_value_and_leaves_no_trace():
    pair = Pair(residual_net())
    pair.check()
    fused = pair.operators()
    seen = []
    pair.fast.set_monitor_callback(lambda name, array: seen.append(name))
    pair.check()
    assert len(seen) == len([n for n in pair.net.get_internals().list_outputs() if n.endswith("_output")])
    assert "BatchNorm" in pair.operators()
    pair.fast.set_monitor_callback(None)
    pair.check()
    assert pair.operators() == fused


# ---- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", [residual_net, preactivated_net])
def test_training_steps_of_residual_nets(net):
    pair = Pair(net(), "write", shape=(4, 16, 8, 8))
    pair.check_step(tolerance=1e-4)
    pair.check_step(tolerance=1e-4)
    assert "_fused_backward_BatchNorm_relu" in pair.operators(is_train=True)


def test_gradients_after_inference_are_those_of_the_inference_formula():
    Pair(residual_net(), "write").check_step(is_train=False, tolerance=1e-4)


@pytest.mark.parametrize("options", [{"fix_gamma": True}, {"use_global_stats": True}, {"axis": -1}, {"axis": 2}])
def test_rectified_normalization_in_training(options):
    pair = Pair(relu(norm(mx.sym.var("data"), **options)), "write")
    pair.check_step(tolerance=5e-5)
    assert "_fused_BatchNorm_relu" in pair.operators(is_train=True)


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 7), (2, 5, 3, 3, 3), (1, 17, 6, 6)])
def test_rectified_normalization_of_other_shapes(shape):
    Pair(relu(norm(mx.sym.var("data"))), "write", shape=shape).check_step(tolerance=1e-4)


def test_what_was_let_through_reaches_a_second_user():
    """The normalized value, or the rectifier's gradient, is used elsewhere too."""
    x = norm(conv(mx.sym.var("data"), 16, no_bias=True))
    Pair(mx.sym.Group([relu(x), mx.sym.tanh(x)]), "write").check_step(tolerance=1e-4)
    y = relu(norm(conv(mx.sym.var("data"), 16, no_bias=True)))
    Pair(mx.sym.Group([mx.sym.tanh(y), y * 2]), "write").check_step(tolerance=1e-4)


def test_gradients_of_weight_and_bias_come_together():
    net = mx.sym.tanh(conv(mx.sym.tanh(conv(mx.sym.var("data"), 8)), 5))
    pair = Pair(net, "write")
    pair.check_step()
    operators = pair.operators(is_train=True)
    assert operators.count("_fused_backward_Convolution_weight") == 2
    assert "sum" not in operators


def test_two_layers_with_one_bias_or_one_gradient():
    x, bias = mx.sym.var("data"), mx.sym.var("shared_bias")
    first, second = conv(x, 8, bias=bias), conv(x, 8, bias=bias)
    Pair(first * second, "write").check_step()
    Pair(conv(x, 8) + conv(x, 8), "write").check_step()


def test_gradients_that_are_added_to():
    pair = Pair(residual_net(), "add")
    pair.check_step(tolerance=1e-4)
    pair.check_step(tolerance=1e-4)


def test_a_layer_that_is_used_many_times_accumulates_its_gradient():
    x, weight = mx.sym.var("data"), mx.sym.var("w_weight")
    net = x
    for _ in range(4):
        net = mx.sym.FullyConnected(net, weight=weight, num_hidden=6, no_bias=True)
        net = mx.sym.Activation(net, act_type="tanh")
    pair = Pair(net, "write", shape=(3, 6))
    pair.check_step()
    assert "_grad_add" not in pair.operators(is_train=True)


def test_results_are_the_same_from_run_to_run():
    pair = Pair(residual_net(), "write")
    results = []
    for _ in range(3):
        pair.fast.forward(is_train=False)
        pair.fast.backward(mx.nd.ones(pair.fast.outputs[0].shape))
        results.append([pair.fast.outputs[0].asnumpy(), *(g.asnumpy() for g in pair.fast.grad_arrays)])
    for again in results[1:]:
        assert all((a == b).all() for a, b in zip(results[0], again))
