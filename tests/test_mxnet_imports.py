"""Scripts whose imports say mxnet: which module they get, and what they are told about those that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import symbind as mx

ROOT = Path(__file__).parents[1]

SCRIPT = """
import logging, sys
import numpy as np
import mxnet as mx
from mxnet.module import Module
from mxnet.base import MXNetError, _as_list, py_str
import mxnet.ndarray as nd
import mxnet.symbol
from mxnet.symbol.contrib import foreach
from mxnet.contrib import tensorboard
from mxnet.rnn.rnn_cell import LSTMCell
from mxnet.executor_manager import _split_input_slice
import helper_of_the_script

assert __name__ == "__main__"
assert mxnet.symbol is mx.sym and Module is mx.mod.Module and MXNetError is mx.MXNetError
assert foreach is mx.sym.contrib.foreach and LSTMCell is mx.rnn.LSTMCell
assert _as_list(1) == [1] and _as_list((1, 2)) == (1, 2)
assert _split_input_slice(10, [1, 1]) == [slice(0, 5), slice(5, 10)]
x = np.random.RandomState(0).rand(40, 4).astype(np.float)
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2), name="softmax")
module = Module(net)
module.fit(mx.io.NDArrayIter(x, x.sum(1) > 2, 10), num_epoch=2)
print(module.__class__.__module__, nd.ones((2,)).asnumpy().sum(), sys.argv[1:])
"""


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "symbind.cli", "run", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=script.parent.parent)


def test_a_script_runs_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "helper_of_the_script.py").write_text("import mxnet.io\n")
    (folder / "train.py").write_text(SCRIPT)
    done = run(folder / "train.py", "--lr", "0.1", "-h")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "symbind.module.module 2.0 ['--lr', '0.1', '-h']\n"


def test_an_error_in_a_script_has_its_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "bad.py").write_text("import mxnet as mx\nmx.nd.ones((2, 3)) + mx.nd.ones((4,))\n")
    done = run(folder / "bad.py")
    assert done.returncode == 1
    assert 'bad.py", line 2' in done.stderr and "MXNetError" in done.stderr


def test_the_exit_status_is_the_scripts(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "s.py").write_text("import sys; from mxnet import gluon")
    done = run(tmp_path / "p" / "s.py")
    assert done.returncode == 1
    assert "There is no mxnet.gluon: this package has MXNet's symbols, modules and arrays" in done.stderr


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """mxnet can be imported for one test."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "mxnet"]:
        monkeypatch.delitem(sys.modules, name)
    mx.mxnet_imports.install()


MODULES = [
    "attribute", "autograd", "base", "callback", "context", "contrib", "contrib.autograd", "contrib.ndarray",
    "contrib.symbol", "contrib.tensorboard", "engine", "executor", "executor_manager", "image", "image.image",
    "image.detection", "initializer", "io", "io.io", "kvstore", "kvstore.base", "kvstore.kvstore", "libinfo", "log",
    "lr_scheduler", "metric", "model", "module", "module.base_module", "module.bucketing_module",
    "module.executor_group", "module.module", "module.python_module", "module.sequential_module", "monitor", "name",
    "ndarray", "ndarray._internal", "ndarray.contrib", "ndarray.image", "ndarray.linalg", "ndarray.ndarray",
    "ndarray.op", "ndarray.random", "ndarray.sparse", "ndarray.utils", "operator", "optimizer",
    "optimizer.optimizer", "profiler", "random", "recordio", "registry", "rnn", "rnn.io", "rnn.rnn", "rnn.rnn_cell",
    "runtime", "symbol", "symbol._internal", "symbol.contrib", "symbol.image", "symbol.linalg", "symbol.op",
    "symbol.random", "symbol.sparse", "symbol.symbol", "test_utils", "util", "visualization",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_every_module_of_the_symbolic_half(name: str, installed: None) -> None:
    module = __import__(f"mxnet.{name}", fromlist=["x"])
    assert module.__name__.startswith("symbind")
    assert module.__spec__ is None or module.__spec__.name.startswith("symbind")


@pytest.mark.parametrize("statement", [
    "import mxnet.gluon", "from mxnet import gluon", "from mxnet.gluon.nn import Dense", "from mxnet import np",
    "import mxnet.numpy", "from mxnet import rtc",
])  # fmt: skip
def test_what_is_not_here_says_so(statement: str, installed: None) -> None:
    with pytest.raises(ImportError, match=r"There is no mxnet\.\w+(\.nn)?: \w"):
        exec(statement)


def test_modules_that_are_elsewhere_are_attributes_too(installed: None) -> None:
    from mxnet import misc  # type: ignore[import-not-found]

    assert misc.FactorScheduler is mx.lr_scheduler.FactorScheduler


def test_what_never_was(installed: None) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"There is no mxnet\.glue here"):
        exec("import mxnet.glue")
    with pytest.raises(ImportError, match="glue"):
        exec("from mxnet import glue")


def test_the_attribute_says_the_same() -> None:
    with pytest.raises(AttributeError, match=r"There is no mxnet\.gluon: "):
        _ = mx.gluon
    with pytest.raises(AttributeError, match="has no attribute 'glue'"):
        _ = mx.glue
    assert not hasattr(mx, "np")
