"""After the first steps a training step takes no more memory from the system, and none from torch to keep."""

import gc
import resource
import subprocess
import sys
import textwrap

import symbind as mx

SCRIPT = textwrap.dedent(
    """
    import resource
    import numpy as np
    import torch
    import symbind as mx

    torch.set_num_threads(1)
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters)
        net = mx.sym.Activation(net, act_type="tanh")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=500)
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type="tanh"), num_hidden=10)
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    module = mx.mod.Module(net)
    module.bind([("data", (16, 1, 28, 28))], [("softmax_label", (16,))])
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": 0.01, "momentum": 0.9})
    rng = np.random.RandomState(0)
    batch = mx.io.DataBatch([mx.nd.array(rng.rand(16, 1, 28, 28))], [mx.nd.array(rng.randint(0, 10, 16))])

    def step():
        module.forward_backward(batch)
        module.update()

    for _ in range(20):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(100):
        step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_minflt - before.ru_minflt, after.ru_maxrss - before.ru_maxrss)
    """
)


def test_steady_state_takes_no_pages():
    """100 LeNet steps in a fresh process: a handful of page faults each ten steps at most, and no growth."""
    output = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    faults, growth_kib = map(int, output.split())
    assert faults < 100, f"{faults} page faults in 100 steps"
    assert growth_kib < 1024, f"resident memory grew by {growth_kib} KiB"


def test_steady_state_creates_no_tensors():
    import torch

    net = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=8), act_type="tanh")
    ex = mx.sym.MakeLoss(net).simple_bind(mx.cpu(), data=(4, 8))
    for _ in range(3):
        ex.forward(is_train=True)
        ex.backward()
    gc.collect()
    before = sum(isinstance(o, torch.Tensor) for o in gc.get_objects())
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        ex.forward(is_train=True)
        ex.backward()
    gc.collect()
    assert sum(isinstance(o, torch.Tensor) for o in gc.get_objects()) == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults < 200
