"""Trainings that are stopped, by an exception or by kill -9, and go on, end with the weights of one that was not."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.resume import file

from .trainings import BATCH, EPOCHS, TRAININGS, begin, network, samples, shuffled

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


class Crash(Exception):
    """What ends a training in the middle."""


class Countdown:
    """A batch callback that crashes in so many batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def __call__(self, param: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def run(name: str, **settings: Any) -> dict[str, np.ndarray]:
    begin()
    return TRAININGS[name](**settings)


@pytest.mark.parametrize("name, period", [("momentum", 1), *((name, 4) for name in TRAININGS)])
def test_a_training_that_crashes_again_and_again_ends_as_if_it_had_not(name: str, period: int, tmp_path: Path) -> None:
    """Every seventh batch it crashes; with a period of four batches some of these have to be done again."""
    expected = run(name)
    snapshot = mx.resume.Snapshot(tmp_path / "run.resume", period)
    for _ in range(50):
        try:
            # Whatever the random generators were used for in the meantime makes no difference.
            np.random.seed(99)
            result = run(name, resume=snapshot, batch_end_callback=Countdown(7))
            break
        except Crash:
            pass
    assert equal(result, expected)


@pytest.mark.parametrize("name", ["momentum", "feed_forward"])
def test_every_snapshot_of_a_training_leads_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    """That after the last batch of an epoch, and before what follows an epoch, too."""
    copies: list[Path] = []
    write = file.write

    def write_and_copy(path: Any, tree: dict[str, Any]) -> None:
        write(path, tree)
        copies.append(Path(shutil.copy(path, tmp_path / f"{len(copies)}.resume")))

    with monkeypatch.context() as patch:
        patch.setattr(file, "write", write_and_copy)
        expected = run(name, resume=mx.resume.Snapshot(tmp_path / "run.resume", 1))
    assert len(copies) >= 6 * EPOCHS
    for copy in copies:
        assert equal(run(name, resume=mx.resume.Snapshot(copy, 1)), expected), copy.name


def test_the_crashes_of_that_test_would_matter(tmp_path: Path) -> None:
    """Without its snapshot the training ends elsewhere: the test above can fail."""
    once = run("momentum")
    begin()
    mx.random.seed(2)
    assert not equal(once, TRAININGS["momentum"]())


def kill_repeatedly(name: str, kills: int, tmp_path: Path) -> None:
    """Train in processes, each killed after a random number of batches; the one after the last kill may finish."""
    chance = random.Random(name)
    command = [sys.executable, "-m", "tests.resume.trainings", name]
    # Results are the same to the bit for the same number of threads.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = 0
    while True:
        process = subprocess.Popen(
            [*command, str(tmp_path / "run.resume"), str(tmp_path / "killed.npz")],
            stdout=subprocess.PIPE, cwd=ROOT, env=environment,
        )  # fmt: skip
        assert process.stdout is not None
        if done == kills:
            process.communicate()
            assert process.returncode == 0
            break
        # At least one batch, so that it comes to an end; and then at once, wherever it is.
        for _ in range(chance.randint(1, 2)):
            if not process.stdout.readline():
                break
        process.kill()
        process.communicate()
        done += 1
    with np.load(tmp_path / "killed.npz") as result:
        assert equal(dict(result), run(name))


def test_a_killed_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    kill_repeatedly("momentum", 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum", "buckets", "chain", "feed_forward"])
def test_a_training_killed_twenty_times_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    kill_repeatedly(name, 20, tmp_path)


def test_metric_and_callbacks_go_on_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is logged at the end of an epoch does not tell that it was interrupted."""

    def logged() -> list[str]:
        lines = [r.getMessage() for r in caplog.records if "Train-" in r.getMessage() or "Validation" in r.getMessage()]
        caplog.clear()
        return lines

    evaluation = mx.io.NDArrayIter(*samples(), BATCH)
    metric = ["acc", "ce", mx.metric.TopKAccuracy(2)]
    with caplog.at_level(logging.INFO):
        run("momentum", eval_metric=metric, eval_data=evaluation)
        expected = logged()
        for _ in range(3):
            with contextlib.suppress(Crash):
                run("momentum", eval_metric=metric, eval_data=evaluation,
                    resume=mx.resume.Snapshot(tmp_path / "r", 1), batch_end_callback=Countdown(11))  # fmt: skip
    assert len(expected) == EPOCHS * 6
    assert logged() == expected


def test_more_epochs_of_a_finished_training(tmp_path: Path) -> None:
    """A finished training that is called again does nothing; with more epochs it goes on."""
    file = str(tmp_path / "run.resume")

    def fit(epochs: int, batches: list, **settings: Any) -> dict[str, np.ndarray]:
        begin()
        module = mx.mod.Module(network())
        module.fit(shuffled(), num_epoch=epochs, batch_end_callback=batches.append, **settings)
        return {name: array.asnumpy() for name, array in module.get_params()[0].items()}

    batches: list = []
    two = fit(2, batches, resume=file)
    assert len(batches) == 12
    assert equal(fit(2, batches, resume=file), two) and len(batches) == 12
    assert equal(fit(5, batches, resume=file), fit(5, [])) and len(batches) == 30


def test_a_file_of_another_training_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.resume"
    run("momentum", resume=file)
    with pytest.raises(mx.MXNetError, match="training: there are 0 modules in the chain there, but 2 here. Remove it"):
        run("chain", resume=file)
    other = mx.mod.Module(mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=5), name="softmax"))
    with pytest.raises(mx.MXNetError, match=r"run\.resume.*of another training: the array 0:arg:\w+ is"):
        other.fit(shuffled(), num_epoch=1, resume=file)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.resume"
    run("momentum", resume=file)
    whole = file.read_bytes()
    chance = random.Random(0)
    for _ in range(40):
        damaged = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.5 else whole)
        if len(damaged) == len(whole):
            damaged[chance.randrange(200)] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                mx.resume.file.read(file)  # a flipped bit in a name is no damage to the file as such
            except mx.MXNetError as error:
                assert "run.resume" in str(error)
    file.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(mx.MXNetError, match=r"run\.resume.*may not contain os\.system"):
        run("momentum", resume=file)
    mx.resume.file.write(file, {"format": 1, "epoch": 3})
    with pytest.raises(mx.MXNetError, match=r"run\.resume.*that this version can read"):
        run("momentum", resume=file)


def test_what_is_not_a_snapshot() -> None:
    with pytest.raises(ValueError, match="period"):
        mx.resume.Snapshot("x", 0)
    with pytest.raises(TypeError, match="resume must be a path or a Snapshot, not 3"):
        mx.mod.Module(network()).fit(shuffled(), num_epoch=1, resume=3)
