"""symbind: describe a network as a Symbol, bind it once, run it with nothing left to decide.

``import symbind as mx`` runs MXNet 1.x symbol and module code. See the README for a tour.
"""

from . import garbage as garbage  # before anybody else it imports torch, in less time

# isort: split
from . import (
    autograd,
    base,
    callback,
    context,
    contrib,
    engine,
    executor_manager,
    graph,
    image,
    initializer,
    io,
    kvstore,
    libinfo,
    log,
    lr_scheduler,
    metric,
    model,
    module,
    monitor,
    mxnet_imports,
    ndarray,
    operator,
    optimizer,
    profiler,
    random,
    recordio,
    registry,
    resume,
    rnn,
    symbol,
    test_utils,
    util,
    visualization,
)
from .base import MXNetError
from .context import Context, cpu, cpu_pinned, current_context, gpu, num_gpus
from .graph import attribute, naming
from .graph.attribute import AttrScope
from .perceptron import mlp
from .runtime import executor
from .symbol.inspection import apply, arguments, children, internals, outputs
from .util import is_np_array, is_np_shape, np_array, np_shape, set_np_shape

# MXNet's short names for the same modules.
img = image
name = naming
init = initializer
kv = kvstore
mod = module
mon = monitor
nd = ndarray
rnd = random
sym = symbol
viz = visualization

# The version of the API that is kept.
__version__ = libinfo.__version__


def __getattr__(name: str) -> object:
    reason = mxnet_imports.absence(name)
    raise AttributeError(reason or f"module {__name__!r} has no attribute {name!r}")
