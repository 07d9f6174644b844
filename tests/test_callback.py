"""Callbacks: what they log and save, and when."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import symbind as mx
from symbind import callback


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines that have been logged."""
    lines: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def metric() -> mx.metric.EvalMetric:
    metric = mx.metric.create(["acc", "mse"])
    metric.update([np.array([1.0, 0.0])], [np.array([1.0, 1.0])])
    return metric


def batch(nbatch: int, metric: object = None, epoch: int = 2) -> SimpleNamespace:
    return SimpleNamespace(epoch=epoch, nbatch=nbatch, eval_metric=metric, locals=None)


def test_log_train_metric(log: list[str], metric: mx.metric.EvalMetric) -> None:
    log_metric = callback.log_train_metric(2)
    for nbatch in range(1, 4):
        log_metric(batch(nbatch, metric))
    log_metric(batch(4))
    assert log == ["Iter[2] Batch[2] Train-accuracy=0.500000", "Iter[2] Batch[2] Train-mse=0.500000"]


def test_log_train_metric_may_reset_the_local_account(metric: mx.metric.EvalMetric) -> None:
    callback.log_train_metric(1, auto_reset=True)(batch(1, metric))
    assert np.isnan(metric.get()[1]).all()
    assert metric.get_global()[1] == [0.5, 0.5]


def speeds(monkeypatch: pytest.MonkeyPatch, seconds_per_call: float) -> None:
    """Let every look at the clock be so many seconds after the last one."""
    now = iter(np.arange(1000) * seconds_per_call)
    monkeypatch.setattr(callback.time, "time", lambda: next(now))


def test_speedometer(log: list[str], metric: mx.metric.EvalMetric, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds(monkeypatch, 0.5)
    speedometer = callback.Speedometer(batch_size=10, frequent=2)
    for nbatch in range(5):
        speedometer(batch(nbatch, metric))
    # The second line's local account is empty; the global one is not.
    assert log == [
        "Epoch[2] Batch [0-2]\tSpeed: 40.00 samples/sec\taccuracy=0.500000\tmse=0.500000",
        "Epoch[2] Batch [2-4]\tSpeed: 40.00 samples/sec\taccuracy=nan\tmse=nan",
    ]
    assert metric.get_global()[1] == [0.5, 0.5]


def test_speedometer_without_reset(
    log: list[str], metric: mx.metric.EvalMetric, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds(monkeypatch, 0.5)
    speedometer = callback.Speedometer(batch_size=10, frequent=2, auto_reset=False)
    for nbatch in range(5):
        speedometer(batch(nbatch, metric))
    assert [line.partition("\t")[0] for line in log] == ["Epoch[2] Batch [0-2]", "Epoch[2] Batch [0-4]"]
    assert log[1].endswith("accuracy=0.500000\tmse=0.500000")


def test_speedometer_starts_its_clock_anew_every_epoch(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    speeds(monkeypatch, 0.0)
    speedometer = callback.Speedometer(batch_size=10, frequent=1)
    for epoch in range(2):
        for nbatch in range(2):
            speedometer(batch(nbatch, epoch=epoch))
    assert log == [
        "Iter[0] Batch [1]\tSpeed: inf samples/sec",
        "Iter[1] Batch [1]\tSpeed: inf samples/sec",
    ]


def test_progress_bar_in_the_log(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "tqdm", None)
    bar = callback.ProgressBar(total=8, length=4)
    for nbatch in (0, 3, 8):
        bar(batch(nbatch))
    assert log == ["[----] 0%\r", "[==--] 38%\r", "[====] 100%\r"]


def test_progress_bar_of_tqdm(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    bar = callback.ProgressBar(total=4)
    for epoch in range(2):
        for nbatch in range(1, 5):
            bar(batch(nbatch, epoch=epoch))
    shown = capsys.readouterr().err
    assert re.search(r"Epoch\[0\]: +100%.* 4/4", shown)
    assert re.search(r"Epoch\[1\]: +100%.* 4/4", shown)


def test_log_validation_metrics(log: list[str], metric: mx.metric.EvalMetric) -> None:
    log_metric = callback.LogValidationMetricsCallback()
    log_metric(batch(3, metric))
    log_metric(batch(3))
    assert log == ["Epoch[2] Validation-accuracy=0.500000", "Epoch[2] Validation-mse=0.500000"]


def test_do_checkpoint(tmp_path: Path, log: list[str]) -> None:
    symbol = mx.sym.Variable("a") + mx.sym.Variable("b")
    save = callback.do_checkpoint(str(tmp_path / "net"), period=2)
    for epoch in range(4):
        save(epoch, symbol, {"a": mx.nd.full((2,), epoch)}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net-0002.params", "net-0004.params", "net-symbol.json"]
    assert log[0] == f'Saved checkpoint to "{tmp_path}/net-0002.params"'
    assert mx.nd.load(str(tmp_path / "net-0004.params"))["arg:a"].asnumpy().tolist() == [3, 3]


def test_module_checkpoint() -> None:
    saved: list[tuple[str, int, bool]] = []
    module = SimpleNamespace(save_checkpoint=lambda *arguments: saved.append(arguments))
    save = callback.module_checkpoint(module, "net", period=2, save_optimizer_states=True)
    for epoch in range(5):
        save(epoch)
    assert saved == [("net", 2, True), ("net", 4, True)]


def test_a_period_below_one_means_every_epoch() -> None:
    saved: list[int] = []
    module = SimpleNamespace(save_checkpoint=lambda prefix, epoch, states: saved.append(epoch))
    save = callback.module_checkpoint(module, "net", period=0)
    save(0)
    save(1)
    assert saved == [1, 2]


# ---- early stopping ------------------------------------------------------------------------------------------------


class Scripted(mx.metric.EvalMetric):
    """A metric with the values that a test wants, one for each evaluation."""

    def __init__(self, values: list[float], name: str = "loss") -> None:
        self.values = list(values)
        super().__init__(name)

    def update(self, labels: object, preds: object) -> None:
        self.num_inst = 1

    def get(self) -> tuple[str, float]:
        return self.name, self.values[0]


def train(stopper: object, values: list[float], name: str = "loss", **settings: object) -> tuple[mx.mod.Module, int]:
    """The module, and how many epochs it was trained if validation had these values."""
    data = mx.io.NDArrayIter(np.random.RandomState(0).rand(20, 3), np.arange(20) % 2, 10)
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, name="fc"), name="softmax")
    module, epochs = mx.mod.Module(net), []
    validation = Scripted(values, name)

    def next_value(*_: object) -> None:
        epochs.append(module.get_params()[0]["fc_weight"].asnumpy())
        if len(epochs) > 1:
            validation.values.pop(0)

    module.fit(data, eval_data=data, validation_metric=validation, num_epoch=len(values), eval_end_callback=stopper,
               epoch_end_callback=next_value, **settings)  # fmt: skip
    module.seen = epochs
    return module, len(epochs)


def test_training_stops_after_its_patience_with_the_best_parameters(log: list[str]) -> None:
    stopper = callback.EarlyStopping(patience=2)
    module, epochs = train(stopper, [3.0, 2.0, 2.5, 2.2, 1.0])
    assert epochs == 4 and (stopper.best, stopper.best_epoch) == (2.0, 1)
    np.testing.assert_array_equal(module.get_params()[0]["fc_weight"].asnumpy(), module.seen[1])
    assert "Epoch[3] Training stopped: loss has not been better than 2.000000 since epoch 1" in log


@pytest.mark.parametrize(
    "settings, values, name, epochs",
    [
        ({"patience": 1}, [0.1, 0.2, 0.3, 0.2], "accuracy", 4),  # more is better
        ({"patience": 1}, [0.1, 0.2, 0.3], "perplexity", 2),
        ({"patience": 1, "mode": "max"}, [0.1, 0.2, 0.3], "perplexity", 3),
        ({"patience": 2, "min_delta": 0.5}, [3.0, 2.7, 2.4, 2.0], "loss", 4),  # 2.4 is enough better than 3
        ({"patience": 2, "min_delta": 0.7}, [3.0, 2.7, 2.4, 2.0], "loss", 3),
    ],
)
def test_what_is_better(settings: dict, values: list[float], name: str, epochs: int) -> None:
    assert train(callback.EarlyStopping(**settings), values, name)[1] == epochs


def test_stopping_is_remembered_by_a_resumed_training(tmp_path: Path) -> None:
    """Patience is not begun anew; a training that has been stopped stays so."""
    values = [3.0, 2.0, 2.5, 2.2, 2.1]
    file = tmp_path / "r"

    class Crash(Exception):
        pass

    def crash(param: SimpleNamespace) -> None:
        if param.epoch == 3 and not file.with_name("crashed").exists():
            file.with_name("crashed").touch()
            raise Crash

    with pytest.raises(Crash):
        train(callback.EarlyStopping(patience=2), values, resume=file, batch_end_callback=crash)
    stopper = callback.EarlyStopping(patience=2)
    _, epochs = train(stopper, values[3:] + values, resume=file)
    assert epochs == 1 and stopper.best_epoch == 1
    assert train(callback.EarlyStopping(patience=2), values, resume=file)[1] == 0


def test_early_stopping_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="patience"):
        callback.EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="mode must be 'auto', 'min' or 'max', not 'up'"):
        callback.EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="no metric 'auc' to stop by; there are 'loss'"):
        train(callback.EarlyStopping(monitor="auc"), [1.0])


# ---- learning curves and TensorBoard -------------------------------------------------------------------------------


def test_a_learning_curve_has_the_values_that_are_logged(log: list[str], tmp_path: Path) -> None:
    curve = callback.LearningCurve(tmp_path / "curve.svg", title="Two classes")
    data = mx.io.NDArrayIter(np.random.RandomState(0).rand(20, 3), np.arange(20) % 2, 10)
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2), name="softmax")
    mx.mod.Module(net).fit(data, eval_data=data, eval_metric=["acc", "ce"], num_epoch=3,
                           batch_end_callback=[curve.after_batch, callback.Speedometer(10, 1)],
                           eval_end_callback=curve.after_evaluation)  # fmt: skip
    for kind, curves in (("Train", curve.training), ("Validation", curve.validation)):
        drawn = {f"Epoch[{e}] {kind}-{name}={v:f}" for name, points in curves.items() for e, v in points.items()}
        assert drawn == {line for line in log if kind in line} and len(drawn) == 6
    picture = (tmp_path / "curve.svg").read_text()
    assert "cross-entropy" in picture and "Two classes" in picture
    axes = curve.draw().axes
    assert [line.get_ydata().tolist() for line in axes[0].lines] == [
        list(curve.training["accuracy"].values()), list(curve.validation["accuracy"].values())
    ]  # fmt: skip


def test_metrics_for_tensorboard(tmp_path: Path, metric: mx.metric.EvalMetric) -> None:
    """The event file, read by its own protocol."""
    protocol = pytest.importorskip("tensorboardX.proto.event_pb2")
    log_metrics = mx.contrib.tensorboard.LogMetricsCallback(str(tmp_path), prefix="train")
    for nbatch in range(3):
        log_metrics(batch(nbatch, metric))
    log_metrics(batch(3))
    log_metrics.summary_writer.close()
    (file,) = tmp_path.glob("events*")
    data, values = file.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        event = protocol.Event.FromString(data[12 : 12 + length])
        values += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        data = data[16 + length :]
    assert values == [(step, f"train-{name}", 0.5) for step in range(3) for name in ("accuracy", "mse")]


def test_tensorboard_without_a_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install tensorboard, or tensorboardX"):
        mx.contrib.tensorboard.LogMetricsCallback("x")
