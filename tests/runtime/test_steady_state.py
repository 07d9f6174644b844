"""After the first steps a training step takes no more memory: none from the system, none from torch to keep.

Measured in a process of its own, whose memory nothing else disturbs.
"""

import subprocess
import sys
import textwrap

SCRIPT = textwrap.dedent(
    """
    import gc
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

    def tensors():
        gc.collect()
        return sum(isinstance(o, torch.Tensor) for o in gc.get_objects())

    for _ in range(20):
        step()
    count = tensors()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(100):
        step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_minflt - before.ru_minflt, after.ru_maxrss - before.ru_maxrss, tensors() - count)
    """
)


def test_a_hundred_lenet_steps_take_no_memory():
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=True
    ).stdout
    faults, growth_kib, new_tensors = map(int, output.split())
    assert faults < 100, f"{faults} page faults in 100 steps"
    assert growth_kib < 1024, f"resident memory grew by {growth_kib} KiB"
    assert new_tensors == 0
