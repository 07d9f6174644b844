"""Callbacks: what they log and save, and when."""

from __future__ import annotations

import logging
import re
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
