"""Executors where something about the process is unusual: torch's inference mode, a fork, other numbers of threads."""

import os
import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
import torch

import symbind as mx


def network():
    net = mx.sym.var("data")
    for i in range(2):
        net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=16, name=f"conv{i}")
        net = mx.sym.Activation(mx.sym.BatchNorm(net, fix_gamma=False, name=f"norm{i}"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="dense"), name="softmax")


def bound(grad_req="write"):
    executor = network().simple_bind(mx.cpu(), grad_req=grad_req, data=(2, 16, 8, 8))
    rng = np.random.default_rng(0)
    for name, array in executor.arg_dict.items():
        array[:] = [0, 1] if name == "softmax_label" else rng.normal(0, 0.2, array.shape)
    for array in executor.aux_arrays:
        array[:] = 1
    return executor


def trained(executor, steps=3):
    names = [name for name in executor.arg_dict if name not in ("data", "softmax_label")]
    updater = mx.optimizer.get_updater(mx.optimizer.SGD(learning_rate=0.1))
    for _ in range(steps):
        executor.forward(is_train=True)
        executor.backward()
        updater(list(range(len(names))), [executor.grad_dict[n] for n in names], [executor.arg_dict[n] for n in names])
    return np.concatenate([executor.arg_dict[name].asnumpy().ravel() for name in names])


def predicted(executor):
    """What comes out before and after a parameter was written to."""
    before = executor.forward()[0].asnumpy()
    executor.arg_dict["conv1_weight"][3:5] = 0.05
    return np.stack([before, executor.forward()[0].asnumpy()])


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("binding", [False, True])
@pytest.mark.parametrize(("grad_req", "run"), [("write", trained), ("null", predicted)])
def test_torch_in_inference_mode(grad_req, run, binding, running):
    expected = run(bound(grad_req))
    with torch.inference_mode(binding):
        executor = bound(grad_req)
    with torch.inference_mode(running):
        actual = run(executor)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("grad_req", ["write", "null"])
def test_arrays_that_were_made_in_inference_mode(grad_req):
    """Torch does not count the writes to them."""
    expected = bound(grad_req)
    with torch.inference_mode():
        arguments = {name: mx.nd.array(array.asnumpy()) for name, array in expected.arg_dict.items()}
        states = {name: mx.nd.array(array.asnumpy()) for name, array in expected.aux_dict.items()}
        gradients = {name: mx.nd.zeros(array.shape) for name, array in arguments.items()}
        executor = network().bind(mx.cpu(), arguments, gradients, grad_req, states)
        run = predicted if grad_req == "null" else trained
        np.testing.assert_array_equal(run(executor), run(expected))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_after_binding(threads):
    threads(1)
    expected = trained(bound(), 4)
    executor = bound()
    for number in (2, 1, 3, 2):
        threads(number)
        actual = trained(executor, 1)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5)


def test_the_number_of_threads_changes_between_forward_and_backward(threads):
    gradients = []
    for numbers in ((1, 1), (1, 2), (2, 1)):
        executor = bound()
        for number, run in zip(numbers, (lambda: executor.forward(is_train=True), executor.backward)):
            threads(number)
            run()
        gradients.append(executor.grad_dict["conv0_weight"].asnumpy())
    for other in gradients[1:]:
        np.testing.assert_allclose(other, gradients[0], rtol=1e-3, atol=1e-6)


def test_executors_in_threads_share_parameters(threads):
    threads(2)
    first = bound()
    executors = [network().bind(mx.cpu(), first.arg_dict, None, "null", first.aux_dict) for _ in range(3)]
    trained(first, 2)  # leaves parameters as kernels want them
    expected = first.forward()[0].asnumpy()
    wrong = []

    def predict(executor):
        for _ in range(20):
            wrong.append(np.abs(executor.forward()[0].asnumpy() - expected).max())

    running = [Thread(target=predict, args=(executor,)) for executor in executors]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(wrong) == 60 and max(wrong) < 1e-5


FORKED = """
import os
import numpy as np
from tests.runtime.test_surroundings import bound, trained

executor = bound()
trained(executor, 1)
child = os.fork()
if not child:
    os._exit(0 if np.allclose(trained(executor, 2), trained(bound(), 3), rtol=1e-3, atol=1e-5) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_training_goes_on_in_a_forked_process():
    """Where the threads of the process before are not."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", FORKED], env=environment, check=True, timeout=60)


def test_as_many_threads_as_there_are_cores():
    """What other tests run with is said by the environment."""
    program = (
        "import numpy as np\nfrom tests.runtime.test_surroundings import bound, trained\n"
        "print(float(np.abs(trained(bound())).sum()))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    made = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, timeout=60, capture_output=True, text=True
    )
    assert float(made.stdout) == pytest.approx(float(np.abs(trained(bound())).sum()), rel=1e-5)
