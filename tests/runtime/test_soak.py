"""Many steps: memory must not creep."""

import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    import resource
    import sys
    import numpy as np
    import symbind as mx

    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=8)
    net = mx.sym.Dropout(mx.sym.Activation(mx.sym.BatchNorm(net), act_type="relu"), p=0.3)
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3), name="softmax")
    rng = np.random.RandomState(0)
    train = mx.io.NDArrayIter(rng.rand(64, 5), rng.randint(0, 3, 64), 8, shuffle=True)
    module = mx.mod.Module(net)
    module.bind(train.provide_data, train.provide_label)
    module.init_params()
    module.init_optimizer(optimizer="adam")
    metric = mx.metric.create("acc")

    def run(steps):
        done = 0
        while done < steps:
            train.reset()
            for batch in train:
                module.forward_backward(batch)
                module.update()
                module.update_metric(metric, batch.label)
                done += 1
        metric.reset()

    run(2000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(int(sys.argv[1]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
)


@pytest.mark.slow
def test_fifty_thousand_steps_do_not_grow():
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, "50000"], capture_output=True, text=True, check=True
    ).stdout
    assert int(output) < 4096, f"resident memory grew by {output.strip()} KiB in 50,000 steps"
