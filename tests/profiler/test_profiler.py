"""The profiler: what is recorded, summed up and written, and that nothing is while it is off."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind import profiler
from symbind.profiler.recorder import Recorder, recorder


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a recorder that nobody has used."""
    fresh = Recorder()
    monkeypatch.setattr(recorder, "__dict__", fresh.__dict__)
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "trace.json"
    recorder.set_state("stop")


def start(trace: Path, **settings: Any) -> None:
    profiler.set_config(**{"profile_all": True, "aggregate_stats": True, "filename": str(trace), **settings})
    profiler.set_state("run")


def events(trace: Path, category: str | None = None) -> list[dict[str, Any]]:
    profiler.dump()
    written = json.loads(trace.read_text())["traceEvents"]
    return [event for event in written if category is None or event.get("cat") == category]


def network() -> Any:
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=10, name="fc")
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    return net.simple_bind(mx.cpu(), data=(8, 5))


def table(text: str) -> dict[str, list[str]]:
    """The cells of each row, by name."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {name: cells for name, *cells in rows if cells and not name.startswith(("Name", "--"))}


def test_instructions_of_a_program(trace: Path) -> None:
    """Each run of each instruction is one event, within the pass it belongs to; the numbers are the same as without."""
    executor = network()
    executor.arg_dict["data"][:] = np.random.RandomState(0).rand(8, 5)
    executor.arg_dict["fc_weight"][:] = 0.1
    executor.forward(is_train=True)
    executor.backward()
    expected = executor.outputs[0].asnumpy(), executor.grad_dict["fc_weight"].asnumpy()
    start(trace)
    for _ in range(3):
        executor.forward(is_train=True)
        executor.backward()
    np.testing.assert_array_equal(executor.outputs[0].asnumpy(), expected[0])
    np.testing.assert_array_equal(executor.grad_dict["fc_weight"].asnumpy(), expected[1])
    operators = events(trace, "operator")
    rows = executor.plan_report(is_train=True).rows
    assert Counter(e["name"] for e in operators) == Counter({name: 3 * n for name, n in _counts(rows).items()})
    assert Counter(e["args"]["kernel"] for e in operators) == Counter(row.implementation for row in rows for _ in "123")
    assert [e["args"]["bytes"] for e in operators if e["name"] == "FullyConnected"] == [8 * 10 * 4] * 3
    passes = events(trace, "executor")
    assert [e["name"] for e in passes] == ["forward", "backward"] * 3
    for event in operators:
        assert any(
            outer["ts"] <= event["ts"] and event["ts"] + event["dur"] <= outer["ts"] + outer["dur"]
            for outer in passes
            if outer["name"] == event["args"]["phase"]
        )


def _counts(rows: Any) -> dict[str, int]:
    return Counter(row.operator for row in rows)


def test_sums_are_those_of_the_events(trace: Path) -> None:
    start(trace)
    a = mx.nd.ones((20, 30))
    for _ in range(5):
        a = a * 2
    (a + 1).sum()
    sums = json.loads(profiler.dumps(format="json"))["Time"]["operator"]
    cells = table(profiler.dumps())
    durations = [e["dur"] / 1e3 for e in events(trace, "operator") if e["name"] == "_mul_scalar"]
    assert len(durations) == sums["_mul_scalar"]["Count"] == 5
    assert sums["_mul_scalar"]["Total"] == pytest.approx(sum(durations))
    assert sums["_mul_scalar"]["Min"] == pytest.approx(min(durations))
    assert sums["_mul_scalar"]["Max"] == pytest.approx(max(durations))
    assert sums["_mul_scalar"]["Avg"] == pytest.approx(sum(durations) / 5)
    assert cells["_mul_scalar"] == [
        "5", *(f"{x:.4f}" for x in (sum(durations), min(durations), max(durations), sum(durations) / 5)), "2.4000"
    ]  # fmt: skip
    assert sums.keys() == {"_mul_scalar", "_plus_scalar", "sum"}


def test_sorting_and_reset(trace: Path) -> None:
    start(trace)
    a = mx.nd.ones((4,))
    for _ in range(3):
        a = a * 2
    a + 1
    names = [name for name in table(profiler.dumps(sort_by="count")) if name in ("_mul_scalar", "_plus_scalar")]
    assert names == ["_mul_scalar", "_plus_scalar"]
    names = [n for n in table(profiler.dumps(True, sort_by="count", ascending=True)) if n.endswith("_scalar")]
    assert names == ["_plus_scalar", "_mul_scalar"]
    assert "_scalar" not in profiler.dumps()


def test_memory_is_the_executors(trace: Path) -> None:
    executor = network()
    start(trace)
    executor.forward(is_train=True)
    total = executor.memory_plan().total
    assert [e["args"]["bytes"] for e in events(trace, "memory")] == [total]
    assert table(profiler.dumps())["Memory: cpu/0"] == ["1", *[f"{total / 1e3:.4f}"] * 3]


def test_scopes(trace: Path) -> None:
    start(trace)
    domain = profiler.Domain("training")
    task, frame, event = domain.new_task("load"), domain.new_frame("step"), profiler.Event("all")
    with event:
        for _ in range(2):
            task.start()
            time.sleep(0.002)
            task.stop()
        with frame:
            pass
    counter = domain.new_counter("samples", 5)
    counter += 3
    counter -= 1
    counter.set_value(50)
    domain.new_marker("now").mark("thread")
    task.stop()  # was not begun
    written = events(trace)
    tasks = [e for e in written if e["name"] == "load"]
    assert [(e["cat"], e["ph"]) for e in tasks] == [("training", "X")] * 2
    assert all(2e3 <= e["dur"] < 1e6 for e in tasks)
    assert [e["args"]["samples"] for e in written if e["ph"] == "C"] == [5, 8, 7, 50]
    assert [(e["cat"], e["s"]) for e in written if e["name"] == "now"] == [("training,instant_marker", "t")]
    assert {e["cat"] for e in written if e["name"] in ("step", "all")} == {"training,frame", "event"}
    assert [str(x) for x in (domain, task, frame, event, counter)] == ["training", "load", "step", "all", "samples"]
    with pytest.raises(ValueError, match="scope of a mark"):
        domain.new_marker("x").mark("galaxy")


def test_pause_resume_and_stop(trace: Path) -> None:
    a = mx.nd.ones((3,))
    a * 1
    start(trace)
    a * 2
    profiler.pause()
    a + 3
    profiler.Event("e").stop()
    profiler.resume()
    a * 4
    profiler.set_state("stop")
    a - 5
    assert [e["name"] for e in events(trace, "operator")] == ["_mul_scalar"] * 2


def test_what_is_recorded_is_what_was_asked_for(trace: Path) -> None:
    executor = network()
    start(trace, profile_all=False, profile_symbolic=False, profile_memory=False, profile_api=False)
    executor.forward(is_train=True)
    executor.backward()
    mx.nd.relu(mx.nd.ones((2,)))
    assert [e["name"] for e in events(trace) if e["ph"] != "M"] == ["relu"]


def test_threads_have_lanes_of_their_own(trace: Path) -> None:
    a = mx.nd.ones((2,))
    start(trace)
    for _ in range(2):
        thread = threading.Thread(target=mx.nd.relu, args=(a,))
        thread.start()
        mx.nd.relu(a)
        thread.join()
    assert len({e["tid"] for e in events(trace, "operator")}) >= 2


def test_without_aggregate_stats_there_is_no_table(trace: Path) -> None:
    start(trace, aggregate_stats=False)
    mx.nd.ones((2,)) + 1
    assert profiler.dumps() == ""


def test_monitors_see_the_same_while_the_profiler_runs(trace: Path) -> None:
    def names() -> list[str]:
        executor, seen = network(), []
        executor.set_monitor_callback(lambda name, array: seen.append(name))
        executor.forward()
        return seen

    expected = names()
    start(trace)
    assert names() == expected


def test_wrong_calls(trace: Path) -> None:
    with pytest.raises(mx.MXNetError, match="Cannot find argument 'foo', possible arguments: profile_all"):
        profiler.set_config(foo=1)
    with pytest.raises(mx.MXNetError, match="profile_process must be"):
        profiler.set_config(profile_process="boss")
    with pytest.raises(KeyError):
        profiler.set_state("walk")
    with pytest.raises(AssertionError, match="Invalid value provided for format: xml"):
        profiler.dumps(format="xml")
    with pytest.raises(AssertionError, match="Invalid value provided for sort_by: name"):
        profiler.dumps(sort_by="name")
    start(trace)
    with pytest.raises(mx.MXNetError, match="stop it before"):
        profiler.set_config(filename="x")


def test_names_of_earlier_versions(trace: Path) -> None:
    with pytest.warns(UserWarning, match="deprecated"):
        profiler.profiler_set_config("all", str(trace))
    with pytest.warns(UserWarning, match="deprecated"):
        profiler.profiler_set_state("run")
    mx.nd.ones((2,)) * mx.nd.ones((2,))
    with pytest.warns(UserWarning, match="deprecated"):
        profiler.dump_profile()
    assert "broadcast_mul" in trace.read_text()


def test_a_process_that_ends_writes_what_it_recorded(tmp_path: Path) -> None:
    script = "import symbind as mx; mx.profiler.set_state('run'); 2 - mx.nd.ones((2,))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment)
    assert '"_rminus_scalar"' in (tmp_path / "profile.json").read_text()
