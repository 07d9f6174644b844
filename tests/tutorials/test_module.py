"""The tutorial of modules, on handwritten digits."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

import symbind as mx

from .data import digits


def mlp() -> mx.sym.Symbol:
    net = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(net, name="fc1", num_hidden=64)
    net = mx.sym.Activation(net, name="relu1", act_type="relu")
    net = mx.sym.FullyConnected(net, name="fc2", num_hidden=10)
    return mx.sym.SoftmaxOutput(net, name="softmax")


def iterators() -> tuple[mx.io.NDArrayIter, mx.io.NDArrayIter]:
    images, labels = digits()
    x = images.reshape(-1, 64)
    return mx.io.NDArrayIter(x[:1500], labels[:1500], 32, shuffle=True), mx.io.NDArrayIter(x[1500:], labels[1500:], 32)


def test_step_by_step() -> None:
    train, _ = iterators()
    mod = mx.mod.Module(symbol=mlp(), context=mx.cpu(), data_names=["data"], label_names=["softmax_label"])
    mod.bind(data_shapes=train.provide_data, label_shapes=train.provide_label)
    mod.init_params(initializer=mx.init.Uniform(scale=0.1))
    mod.init_optimizer(optimizer="sgd", optimizer_params=(("learning_rate", 0.1),))
    metric = mx.metric.create("acc")
    lines = []
    for epoch in range(5):
        train.reset()
        metric.reset()
        for batch in train:
            mod.forward(batch, is_train=True)
            mod.update_metric(metric, batch.label)
            mod.backward()
            mod.update()
        lines.append(f"Epoch {epoch}, Training {metric.get()}")
    values = [float(re.fullmatch(r"Epoch \d, Training \('accuracy', ([\d.]+)\)", line)[1]) for line in lines]
    assert values[-1] > 0.9 and values[-1] > values[0]


def test_fit_predict_and_score(caplog: pytest.LogCaptureFixture) -> None:
    train, valid = iterators()
    mod = mx.mod.Module(symbol=mlp(), context=mx.cpu(), data_names=["data"], label_names=["softmax_label"])
    with caplog.at_level(logging.INFO):
        mod.fit(train, eval_data=valid, optimizer="sgd", optimizer_params={"learning_rate": 0.1}, eval_metric="acc",
                num_epoch=7)  # fmt: skip
    assert len(caplog.messages) == 21
    for epoch in range(7):
        formats = [r"Train-accuracy=\d\.\d{6}", r"Time cost=\d+\.\d{3}", r"Validation-accuracy=\d\.\d{6}"]
        for line, form in zip(caplog.messages[3 * epoch :], formats):
            assert re.fullmatch(rf"Epoch\[{epoch}\] {form}", line), line
    assert mod.predict(valid).shape == (297, 10)
    [(name, accuracy)] = mod.score(valid, ["acc"])
    assert name == "accuracy" and accuracy > 0.85


def test_save_load_and_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train, _ = iterators()
    prefix = str(tmp_path / "mx_mlp")
    net = mlp()
    mod = mx.mod.Module(symbol=net)
    with caplog.at_level(logging.INFO):
        mod.fit(train, num_epoch=5, epoch_end_callback=mx.callback.do_checkpoint(prefix))
    assert f'Saved checkpoint to "{prefix}-0001.params"' in caplog.messages
    assert {path.name for path in tmp_path.iterdir()} == {
        "mx_mlp-symbol.json", *(f"mx_mlp-000{i}.params" for i in range(1, 6)),
    }  # fmt: skip

    sym, arg_params, aux_params = mx.model.load_checkpoint(prefix, 3)
    assert sym.tojson() == net.tojson()
    mod.set_params(arg_params, aux_params)
    for name, value in mod.get_params()[0].items():
        assert (value.asnumpy() == arg_params[name].asnumpy()).all()

    caplog.clear()
    mod = mx.mod.Module(symbol=sym)
    with caplog.at_level(logging.INFO):
        mod.fit(train, num_epoch=6, arg_params=arg_params, aux_params=aux_params, begin_epoch=3)
    assert [line[:8] for line in caplog.messages[::2]] == ["Epoch[3]", "Epoch[4]", "Epoch[5]"]
    assert caplog.messages[0].startswith("Epoch[3] Train-accuracy=")


def test_defaults() -> None:
    train, _ = iterators()
    mod = mx.mod.Module(symbol=mlp())
    seen = []
    mod.fit(train, num_epoch=1, batch_end_callback=lambda step: seen.append(step.eval_metric.name))
    assert set(seen) == {"accuracy"}
    assert type(mod._optimizer).__name__ == "SGD" and mod._optimizer.learning_rate == 0.01
