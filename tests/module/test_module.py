"""Module: the steps, the loops, checkpoints and their files."""

import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple

import numpy as np
import pytest

import symbind as mx


def digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.float32)


def mlp():
    with mx.name.NameManager():
        net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=32, name="fc1")
        net = mx.sym.BatchNorm(net, name="bn1", fix_gamma=False)
        net = mx.sym.Activation(net, act_type="relu", name="relu1")
        net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
        return mx.sym.SoftmaxOutput(net, name="softmax")


def iterators(batch=50, shuffle=False):
    X, y = digits()
    return mx.io.NDArrayIter(X[:1200], y[:1200], batch, shuffle=shuffle), mx.io.NDArrayIter(X[1200:], y[1200:], batch)


def ready_module(optimizer="sgd", **params):
    train, _ = iterators()
    module = mx.mod.Module(mlp())
    module.bind(train.provide_data, train.provide_label)
    mx.random.seed(0)
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer=optimizer, optimizer_params=params or {"learning_rate": 0.1, "momentum": 0.9})
    return module, train


def same(a, b):
    return set(a) == set(b) and all((a[k].asnumpy() == b[k].asnumpy()).all() for k in a)


# ---- training -----------------------------------------------------------------------------------


def test_fit_learns_logs_and_predicts(caplog):
    train, val = iterators()
    np.random.seed(0)
    mx.random.seed(0)
    module = mx.mod.Module(mlp(), context=mx.cpu(), data_names=["data"], label_names=["softmax_label"])
    with caplog.at_level(logging.INFO):
        module.fit(
            train,
            eval_data=val,
            optimizer="sgd",
            optimizer_params={"learning_rate": 0.1},
            eval_metric="acc",
            num_epoch=4,
            initializer=mx.init.Xavier(),
        )
    lines = [r.getMessage() for r in caplog.records]
    for epoch in range(4):
        assert re.fullmatch(rf"Epoch\[{epoch}\] Train-accuracy=\d\.\d{{6}}", lines[3 * epoch])
        assert re.fullmatch(rf"Epoch\[{epoch}\] Time cost=\d+\.\d{{3}}", lines[3 * epoch + 1])
        assert re.fullmatch(rf"Epoch\[{epoch}\] Validation-accuracy=\d\.\d{{6}}", lines[3 * epoch + 2])
    assert module.predict(val).shape == (597, 10)
    score = module.score(val, ["acc"])
    assert score[0][0] == "accuracy" and score[0][1] > 0.85


def test_step_api_matches_a_float64_reference():
    """Two SGD-momentum steps of logistic regression, computed by hand."""
    rng = np.random.RandomState(0)
    X, y = rng.randn(6, 4), np.array([0, 1, 2, 0, 1, 2])
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc"), name="softmax")
    module = mx.mod.Module(net)
    module.bind([("data", (6, 4))], [("softmax_label", (6,))])
    W, b = rng.randn(3, 4), rng.randn(3)
    module.init_params(arg_params={"fc_weight": mx.nd.array(W), "fc_bias": mx.nd.array(b)}, aux_params={})
    module.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9, "wd": 0.01})
    mW, mb = np.zeros_like(W), np.zeros_like(b)
    for _ in range(2):
        module.forward(mx.io.DataBatch([mx.nd.array(X)], [mx.nd.array(y)]), is_train=True)
        module.backward()
        module.update()
        p = np.exp(X @ W.T + b)
        p /= p.sum(1, keepdims=True)
        d = (p - np.eye(3)[y]) / 6
        mW = 0.9 * mW - 0.5 * (d.T @ X + 0.01 * W)
        mb = 0.9 * mb - 0.5 * d.sum(0)
        W, b = W + mW, b + mb
    params, _ = module.get_params()
    np.testing.assert_allclose(params["fc_weight"].asnumpy(), W, rtol=1e-5)
    np.testing.assert_allclose(params["fc_bias"].asnumpy(), b, rtol=1e-5, atol=1e-6)


def test_fixed_parameters_stay():
    train, _ = iterators()
    module = mx.mod.Module(mlp(), fixed_param_names=["fc1_weight"])
    module.bind(train.provide_data, train.provide_label)
    module.init_params(mx.init.Xavier())
    module.init_optimizer()
    before = module.get_params()[0]
    module.forward_backward(next(iter(train)))
    module.update()
    after = module.get_params()[0]
    assert (before["fc1_weight"].asnumpy() == after["fc1_weight"].asnumpy()).all()
    assert (before["fc2_weight"].asnumpy() != after["fc2_weight"].asnumpy()).any()


def test_input_gradients():
    train, _ = iterators()
    module = mx.mod.Module(mlp())
    module.bind(train.provide_data, train.provide_label, inputs_need_grad=True)
    module.init_params(mx.init.Xavier())
    module.forward_backward(next(iter(train)))
    [grad] = module.get_input_grads()
    assert grad.shape == (50, 64) and np.abs(grad.asnumpy()).max() > 0


def test_a_batch_of_another_size_rebinds():
    module, _ = ready_module()
    X, y = digits()
    module.forward(mx.io.DataBatch([mx.nd.array(X[:7])], [mx.nd.array(y[:7])]), is_train=True)
    assert module.get_outputs()[0].shape == (7, 10)
    module.backward()
    module.update()
    module.forward(mx.io.DataBatch([mx.nd.array(X[:50])], [mx.nd.array(y[:50])]), is_train=False)
    assert module.get_outputs()[0].shape == (50, 10)


def test_prediction_from_arrays_iterators_and_bare_batches():
    module, _ = ready_module()
    X, y = digits()
    whole = module.predict(mx.io.NDArrayIter(X[:120], y[:120], 50)).asnumpy()
    assert whole.shape == (120, 10)
    np.testing.assert_allclose(module.predict(mx.nd.array(X[:120])).asnumpy(), whole, rtol=1e-5, atol=1e-6)
    parts = module.predict(mx.io.NDArrayIter(X[:120], y[:120], 50), merge_batches=False)
    assert [p[0].shape[0] for p in parts] == [50, 50, 20]
    Batch = namedtuple("Batch", ["data"])
    module.forward(Batch([mx.nd.array(X[:50])]), is_train=False)
    np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), whole[:50], rtol=1e-5, atol=1e-6)
    assert len(module.predict(mx.io.NDArrayIter(X[:50], y[:50], 50), always_output_list=True)) == 1


# ---- mistakes -----------------------------------------------------------------------------------


def test_mistakes_are_named():
    net = mlp()
    with pytest.raises(ValueError, match=r"data_names=\['dd'\]\) but input with name 'dd' is not found"):
        mx.mod.Module(net, data_names=["dd"])
    with pytest.warns(UserWarning, match="input with name 'll' is not found"):
        mx.mod.Module(net, label_names=["ll"])
    module = mx.mod.Module(net)
    with pytest.raises(AssertionError, match="not bound yet"):
        module.forward(None)
    with pytest.raises(ValueError, match="don't match names specified by data_names"):
        module.bind([("dat", (5, 64))])
    module.bind([("data", (5, 64))], [("softmax_label", (5,))])
    with pytest.raises(RuntimeError, match="bn1_beta is not presented"):
        module.init_params(arg_params={}, aux_params={})
    with pytest.raises(AssertionError, match="no parameters yet"):
        module.forward(None)
    module.init_params()
    with pytest.warns(UserWarning, match="already initialized"):
        module.init_params()
    with pytest.raises(AssertionError, match="no optimizer yet"):
        module.update()
    args, aux = module.get_params()
    with pytest.raises(ValueError, match="'zz' that is not in the arguments"):
        module.set_params({**args, "zz": mx.nd.ones((1,))}, aux, allow_missing=True)
    with pytest.raises(ValueError, match=r"fc1_bias has shape \(3,\)"):
        module.set_params({**args, "fc1_bias": mx.nd.ones((3,))}, aux)
    with pytest.raises(AssertionError, match="number of epochs"):
        module.fit(iterators()[0])


def test_parameters_of_a_whole_network_fit_a_part_of_it():
    """As scripts that extract features load a classifier; recorded from MXNet for every switch."""
    whole, _ = ready_module()
    args, aux = whole.get_params()
    part = mx.mod.Module(whole.symbol.get_internals()["fc1_output"], label_names=None)
    part.bind([("data", (5, 64))], for_training=False)
    part.set_params(args, aux)
    np.testing.assert_array_equal(part.get_params()[0]["fc1_weight"].asnumpy(), args["fc1_weight"].asnumpy())
    assert "fc2_weight" in args and "fc2_weight" not in part.get_params()[0]
    part.set_params(args, aux, allow_missing=True, allow_extra=True)
    with pytest.raises(ValueError, match="that is not in the arguments"):
        part.set_params(args, aux, allow_missing=True)
    for allow_missing in (False, True):
        part.init_params(arg_params=args, aux_params=aux, allow_missing=allow_missing, force_init=True)
    with pytest.raises(RuntimeError, match="fc1_bias is not presented"):
        part.set_params({"fc2_bias": args["fc2_bias"]}, aux)


def test_a_second_bind_is_ignored(caplog):
    module, train = ready_module()
    with caplog.at_level(logging.WARNING):
        module.bind(train.provide_data, train.provide_label)
    assert "Already bound, ignoring bind()" in caplog.text


# ---- checkpoints --------------------------------------------------------------------------------


def test_checkpoint_files_and_logs(tmp_path, caplog):
    train, _ = iterators()
    prefix = str(tmp_path / "mx_mlp")
    module = mx.mod.Module(mlp())
    with caplog.at_level(logging.INFO):
        module.fit(train, num_epoch=2, epoch_end_callback=mx.callback.do_checkpoint(prefix))
        module.save_checkpoint(prefix, 7, save_optimizer_states=True)
    assert sorted(os.listdir(tmp_path)) == [
        "mx_mlp-0001.params", "mx_mlp-0002.params", "mx_mlp-0007.params", "mx_mlp-0007.states", "mx_mlp-symbol.json",
    ]  # fmt: skip
    assert f'Saved checkpoint to "{prefix}-0001.params"' in caplog.text
    assert f'Saved optimizer state to "{prefix}-0007.states"' in caplog.text
    symbol, args, aux = mx.model.load_checkpoint(prefix, 2)
    assert symbol.tojson() == mlp().tojson()
    assert same(args, module.get_params()[0]) and same(aux, module.get_params()[1])


@pytest.mark.parametrize(
    ("optimizer", "params"),
    [("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-3}), ("adam", {"learning_rate": 0.01}),
     ("rmsprop", {"learning_rate": 0.01, "centered": True}), ("adadelta", {"rho": 0.9}), ("nag", {"momentum": 0.9})],
)  # fmt: skip
def test_resumed_training_continues_bit_for_bit(tmp_path, optimizer, params):
    """Ten batches, a checkpoint, ten more; against the same after loading the checkpoint in a new module."""
    prefix = str(tmp_path / "net")
    module, train = ready_module(optimizer, **params)
    batches = list(train)[:20]

    def steps(m, some):
        for batch in some:
            m.forward_backward(batch)
            m.update()

    steps(module, batches[:10])
    module.save_checkpoint(prefix, 1, save_optimizer_states=True)
    steps(module, batches[10:])

    resumed = mx.mod.Module.load(prefix, 1, load_optimizer_states=True)
    resumed.bind(train.provide_data, train.provide_label)
    resumed.init_optimizer(optimizer=optimizer, optimizer_params={**params, "begin_num_update": 10})
    steps(resumed, batches[10:])
    for a, b in zip(module.get_params(), resumed.get_params()):
        assert same(a, b)


def test_fit_resumes_at_begin_epoch(tmp_path, caplog):
    train, _ = iterators()
    prefix = str(tmp_path / "net")
    mx.mod.Module(mlp()).fit(train, num_epoch=3, epoch_end_callback=mx.callback.do_checkpoint(prefix))
    symbol, args, aux = mx.model.load_checkpoint(prefix, 3)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        mx.mod.Module(symbol).fit(train, num_epoch=4, arg_params=args, aux_params=aux, begin_epoch=3)
    assert caplog.records[0].getMessage().startswith("Epoch[3] Train-accuracy=")


def test_fine_tuning_keeps_the_body_and_replaces_the_head(tmp_path):
    module, train = ready_module()
    args, aux = module.get_params()
    body = mlp().get_internals()["relu1_output"]
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(body, num_hidden=10, name="new"), name="softmax")
    kept = {k: v for k, v in args.items() if not k.startswith("fc2")}
    tuned = mx.mod.Module(net)
    tuned.bind(train.provide_data, train.provide_label)
    tuned.init_params(mx.init.Xavier(), arg_params=kept, aux_params=aux, allow_missing=True)
    assert (tuned.get_params()[0]["fc1_weight"].asnumpy() == args["fc1_weight"].asnumpy()).all()
    assert np.abs(tuned.get_params()[0]["new_weight"].asnumpy()).max() > 0


def test_prediction_without_label_names():
    """With label_names=None the label becomes a parameter, so allow_missing is needed, as ever."""
    module, _ = ready_module()
    args, aux = module.get_params()
    predictor = mx.mod.Module(mlp(), label_names=None)
    predictor.bind([("data", (1, 64))], label_shapes=predictor._label_shapes, for_training=False)
    with pytest.raises(RuntimeError, match="softmax_label is not presented"):
        predictor.set_params(args, aux)
    predictor.set_params(args, aux, allow_missing=True)
    Batch = namedtuple("Batch", ["data"])
    predictor.forward(Batch([mx.nd.array(digits()[0][:1])]))
    assert predictor.get_outputs()[0].shape == (1, 10)


def test_params_file_with_other_names_is_refused(tmp_path):
    path = str(tmp_path / "x-0001.params")
    mx.nd.save(path, {"weight": mx.nd.ones((2,))})
    with pytest.raises(ValueError, match="'weight' is neither arg:NAME nor aux:NAME"):
        mx.model.load_params(str(tmp_path / "x"), 1)
    mx.nd.save(path, [mx.nd.ones((2,))])
    with pytest.raises(ValueError, match="have no names"):
        mx.model.load_params(str(tmp_path / "x"), 1)


def test_a_checkpoint_interrupted_by_kill_leaves_the_previous_one(tmp_path):
    """A process that saves for ever is killed at random moments; what is there always loads."""
    prefix = str(tmp_path / "net")
    script = textwrap.dedent(
        f"""
        import symbind as mx
        net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=512, name="fc")
        k = 0
        while True:
            k += 1
            value = mx.nd.full((512, 1024), k)
            mx.model.save_checkpoint({prefix!r}, 1, net, {{"fc_weight": value}}, {{}})
            print(k, flush=True)
        """
    )
    for attempt in range(4):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        time.sleep(0.013 * (attempt + 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        symbol, args, _ = mx.model.load_checkpoint(prefix, 1)
        weight = args["fc_weight"].asnumpy()
        assert symbol.list_outputs() == ["fc_output"]
        assert (weight == weight.flat[0]).all() and weight.flat[0] >= 1
