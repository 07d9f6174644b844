"""Parameters that stay in the layout of the kernels while they are trained: nobody may notice but the clock."""

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.runtime.engines import engine_for, use_engine

pytestmark = pytest.mark.skipif(
    engine_for(torch.device("cpu")).name != "onednn", reason="only oneDNN has layouts of its own"
)

SHAPES = {"data": (4, 16, 8, 8), "label": (4,)}


def network():
    net = mx.sym.var("data")
    for i, filters in enumerate((32, 16)):
        net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=filters, name=f"conv{i}")
        net = mx.sym.Activation(net, act_type="tanh")
    net = mx.sym.FullyConnected(net, num_hidden=5, name="dense")
    return mx.sym.SoftmaxOutput(net, mx.sym.var("label"), name="softmax")


def bound(shared=None, batch=4, **settings):
    """An executor on fixed numbers; ``shared`` is one whose parameters it shares."""
    shapes = {name: (batch, *shape[1:]) for name, shape in SHAPES.items()}
    names = [name for name in network().list_arguments() if name not in SHAPES]
    executor = network().simple_bind(
        mx.cpu(), **shapes, shared_exec=shared, shared_arg_names=names if shared else None, **settings
    )
    rng = np.random.default_rng(0)
    for name, array in executor.arg_dict.items():
        values = rng.normal(0, 0.2, array.shape)
        if name == "label":
            array[:] = np.arange(batch)
        elif shared is None or name in SHAPES:
            array[:] = values
    return executor


class Trainer:
    def __init__(self, executor, optimizer="sgd", **settings):
        self.executor = executor
        names = [name for name in executor.arg_dict if name not in SHAPES]
        self.weights = [executor.arg_dict[name] for name in names]
        self.gradients = [executor.grad_dict[name] for name in names]
        settings = {"learning_rate": 0.1, **({"momentum": 0.9} if optimizer == "sgd" else {}), **settings}
        self.updater = mx.optimizer.get_updater(mx.optimizer.create(optimizer, **settings))

    def step(self):
        self.executor.forward(is_train=True)
        self.executor.backward()
        self.updater(list(range(len(self.weights))), self.gradients, self.weights)

    def values(self):
        return [array.asnumpy() for array in (*self.weights, *self.gradients)]


def trained_on_torch(steps, **settings):
    with use_engine("torch"):
        trainer = Trainer(bound(), **settings)
        for _ in range(steps):
            trainer.step()
        return trainer.values()


def assert_close(values, expected):
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)


def is_resident(executor):
    return executor.arg_dict["conv1_weight"].order is not None and executor.grad_dict["conv1_weight"].order is not None


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("sgd", {}),
        ("lbsgd", {}),
        # A large epsilon: what is divided by its own size would make much of rounding.
        ("adam", {"epsilon": 0.01}),
        ("lamb", {"epsilon": 0.01}),
        ("rmsprop", {"epsilon": 0.01}),
    ],
)
def test_training_gives_the_same_as_on_plain_arrays(optimizer, settings):
    trainer = Trainer(bound(), optimizer, **settings)
    for _ in range(4):
        trainer.step()
        assert is_resident(trainer.executor)
    assert_close(trainer.values(), trained_on_torch(4, optimizer=optimizer, **settings))
    # Weights are converted for the gradients of data alone, which want an order of their own.
    assert all(row.phase == "backward" for row in trainer.executor.plan_report().conversions if "weight" in row.name)


def test_looking_does_not_move_it():
    trainer = Trainer(bound())
    for _ in range(3):
        trainer.step()
        weight = trainer.executor.arg_dict["conv1_weight"]
        shown = weight.asnumpy()
        np.testing.assert_array_equal(weight.copy().asnumpy(), shown)
        np.testing.assert_array_equal(weight.astype("float64").asnumpy(), shown)
        assert (weight.shape, weight.size, weight.ndim, weight.dtype) == ((16, 32, 3, 3), 4608, 4, np.float32)
        assert is_resident(trainer.executor)
    assert_close(trainer.values(), trained_on_torch(3))


def test_what_is_written_is_what_the_next_run_reads():
    trainer, plain = Trainer(bound()), None
    trainer.step()
    with use_engine("torch"):
        plain = Trainer(bound())
    plain.step()
    for one in (trainer, plain):
        one.executor.arg_dict["conv1_weight"][2:4] = 0.25
        one.executor.arg_dict["conv0_weight"] *= 0.5
        one.step()
    assert is_resident(trainer.executor)
    assert_close(trainer.values(), plain.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.__setitem__(slice(None), 0.1),
        lambda a: a.__setitem__(slice(2, 4), 0.05),
        lambda a: a.tensor.mul_(0.5),
        lambda a: a.tensor.numpy().__imul__(1),
    ],
    ids=["whole", "part", "tensor", "only looked at"],
)
def test_what_is_written_before_backward_is_what_it_reads(change):
    trainer = Trainer(bound())
    with use_engine("torch"):
        plain = Trainer(bound())
    for step in range(4):
        for one in (trainer, plain):
            executor = one.executor
            executor.forward(is_train=True)
            if step % 2 == 0:
                change(executor.arg_dict["conv1_weight"])
            executor.backward()
            one.updater(list(range(len(one.weights))), one.gradients, one.weights)
    assert is_resident(trainer.executor)
    assert_close(trainer.values(), plain.values())


@pytest.mark.parametrize(
    "look",
    [lambda a: a[1], lambda a: a.reshape(-1), lambda a: a.tensor, lambda a: a.tensor.numpy(), mx.nd.NDArray.detach],
    ids=["part", "reshaped", "tensor", "numpy", "detached"],
)
def test_who_shares_the_memory_goes_on_seeing_it(look):
    """Such an array stays plain, and everything still comes out right."""
    executor = bound()
    array, gradient = executor.arg_dict["conv1_weight"], executor.grad_dict["conv1_weight"]
    views = look(array), look(gradient)
    trainer = Trainer(executor)
    for _ in range(3):
        trainer.step()
    assert array.order is None
    for view, whole in zip(views, (array, gradient)):
        np.testing.assert_array_equal(np.asarray(view), np.asarray(look(whole)))
    assert_close(trainer.values(), trained_on_torch(3))


def test_an_array_that_is_asked_for_plain_at_every_step_stays_plain():
    trainer = Trainer(bound())
    weight, gradient = (x["conv1_weight"] for x in (trainer.executor.arg_dict, trainer.executor.grad_dict))
    for _ in range(6):
        trainer.step()
        weight.tensor.mul_(1.0)
        gradient.tensor.mul_(1.0)
    places = weight.tensor.data_ptr(), gradient.tensor.data_ptr()
    for _ in range(3):
        trainer.step()
        assert places == (weight.tensor.data_ptr(), gradient.tensor.data_ptr())
    assert_close(trainer.values(), trained_on_torch(9))


def test_an_array_that_is_asked_for_before_every_backward_stays_plain():
    executor = bound()
    weight = executor.arg_dict["conv1_weight"]
    for _ in range(8):
        executor.forward(is_train=True)
        place = weight.tensor.data_ptr()
        executor.backward()
    assert weight.order is None and weight.tensor.data_ptr() == place


def test_executors_share_the_order_of_what_they_share():
    first = bound()
    second = bound(shared=first, batch=2)
    trainers = [Trainer(first), Trainer(second)]
    trainers[1].updater = trainers[0].updater
    with use_engine("torch"):
        reference = bound()
        references = [Trainer(reference), Trainer(bound(shared=reference, batch=2))]
        references[1].updater = references[0].updater
    for _ in range(3):
        for trainer in (*trainers, *references):
            trainer.step()
    assert is_resident(first) and is_resident(second)
    assert_close(trainers[0].values(), references[0].values())


def test_an_executor_for_prediction_sees_every_update():
    training = bound()
    prediction = bound(shared=training, grad_req="null")
    trainer = Trainer(training)
    for _ in range(3):
        trainer.step()
        training.forward(is_train=False)
        prediction.forward(is_train=False)
        np.testing.assert_allclose(prediction.outputs[0].asnumpy(), training.outputs[0].asnumpy(), rtol=1e-4, atol=1e-6)


def test_states_of_the_optimizer_are_saved_plain():
    trainer = Trainer(bound())
    trainer.step()
    trainer.updater.set_states(trainer.updater.get_states())
    trainer.step()
    again = trainer.updater.get_states()
    trainer.step()
    assert is_resident(trainer.executor)
    assert_close(trainer.values(), trained_on_torch(3))
    with use_engine("torch"):
        plain = Trainer(bound())
        plain.step()
        plain.step()
    states = mx.optimizer.get_updater(mx.optimizer.SGD())
    states.set_states(again)
    for index, state in plain.updater.states.items():
        np.testing.assert_allclose(states.states[index].asnumpy(), state.asnumpy(), rtol=1e-4, atol=1e-6)


def test_another_number_of_threads():
    before = torch.get_num_threads()
    trainer = Trainer(bound())
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            trainer.step()
    finally:
        torch.set_num_threads(before)
    assert_close(trainer.values(), trained_on_torch(3))


@pytest.mark.parametrize("requests", [("write", "add"), ("add", "write"), ("write", "write")])
def test_two_gradients_in_one_array(requests):
    net = mx.sym.var("data")
    for i in range(2):
        net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=16, no_bias=True, name=f"conv{i}")
    results = []
    for engine in ("onednn", "torch"):
        rng = np.random.default_rng(0)
        arrays = {"data": mx.nd.array(rng.normal(size=(2, 16, 6, 6)))}
        arrays |= {f"conv{i}_weight": mx.nd.array(rng.normal(0, 0.1, (16, 16, 3, 3))) for i in range(2)}
        gradient = mx.nd.ones((16, 16, 3, 3))
        with use_engine(engine):
            grad_req = dict(zip(("conv0_weight", "conv1_weight"), requests))
            executor = net.bind(mx.cpu(), arrays, dict.fromkeys(grad_req, gradient), grad_req)
        for _ in range(2):
            executor.forward(is_train=True)
            executor.backward(mx.nd.ones(executor.outputs[0].shape))
        results.append([gradient.asnumpy()])
    assert_close(*results)


def test_gradients_that_are_added_up_stay_plain():
    executor = bound(grad_req="add")
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward()
    assert executor.grad_dict["conv1_weight"].order is None
    with use_engine("torch"):
        plain = bound()
    plain.forward(is_train=True)
    plain.backward()
    for name in ("conv0_weight", "conv1_weight"):
        np.testing.assert_allclose(
            executor.grad_dict[name].asnumpy(), 2 * plain.grad_dict[name].asnumpy(), rtol=1e-4, atol=1e-5
        )
