"""``import mxnet`` means this package: for scripts that are to run as they are.

After :func:`install` every import of ``mxnet`` and of its modules gives the module here that has its place. Most have
the same name; the others are in a table. What this package does not have says so when it is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["absence", "install"]

# Modules that are elsewhere here. For those within a package of the same name the package may stand.
_PLACES = {
    "attribute": "graph.attribute",
    "executor": "runtime.executor",
    "image.image": "image",
    "img": "image",
    "init": "initializer",
    "io.io": "io",
    "io.utils": "io",
    "kv": "kvstore",
    "kvstore.base": "kvstore",
    "kvstore.kvstore": "kvstore",
    "misc": "lr_scheduler",
    "mod": "module",
    "mon": "monitor",
    "name": "graph.naming",
    "nd": "ndarray",
    "ndarray.op": "ndarray",
    "ndarray.utils": "ndarray",
    "rnd": "random",
    "rnn.io": "rnn.sentences",
    "rnn.rnn": "rnn.checkpoint",
    "rnn.rnn_cell": "rnn",
    "sym": "symbol",
    "symbol.op": "symbol",
    "symbol.symbol": "graph.symbol",
    "viz": "visualization",
}
_IMPERATIVE = "this package has MXNet's symbols, modules and arrays, not its imperative interfaces"
_ABSENT = {
    "gluon": _IMPERATIVE,
    "np": _IMPERATIVE,
    "npx": _IMPERATIVE,
    "numpy": _IMPERATIVE,
    "numpy_extension": _IMPERATIVE,
    "library": "operators are written in Python here, see mx.operator",
    "onnx": "models are exchanged as symbol and parameter files here",
    "rtc": "operators are written in Python here, see mx.operator",
    "th": "arrays are exchanged with PyTorch by DLPack here, see mx.nd.to_dlpack_for_read",
    "torch": "arrays are exchanged with PyTorch by DLPack here, see mx.nd.to_dlpack_for_read",
}
_PACKAGE = __name__.partition(".")[0]


def install() -> None:
    """From now on, every import of ``mxnet`` gives this package, even where MXNet is installed."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def absence(name: str) -> str | None:
    """Why there is no ``mxnet.<name>``, where that is so by design."""
    reason = _ABSENT.get(name.partition(".")[0])
    return None if reason is None else f"There is no mxnet.{name}: {reason}"


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, name = fullname.partition(".")
        # "from mxnet import gluon" asks for the module by the name of the package that mxnet is, as does "misc".
        if root not in ("mxnet", _PACKAGE):
            return None
        reason = absence(name)
        if reason is not None:
            raise ImportError(reason, name=fullname)
        if root == _PACKAGE and name not in _PLACES:
            return None
        own = _find(name)
        if own is None:
            raise ModuleNotFoundError(f"There is no {fullname} here", name=fullname)
        return ModuleSpec(fullname, _Alias(own), is_package=True)


def _find(name: str) -> str | None:
    """The module here that has the place of ``mxnet.<name>``."""
    own = f"{_PACKAGE}.{_PLACES.get(name, name)}".rstrip(".")
    if own in sys.modules:
        return own
    try:
        found = importlib.machinery.PathFinder.find_spec(own, _path_of(own.rpartition(".")[0]))
    except ModuleNotFoundError:
        return None
    return own if found is not None else _namespace(own)


def _path_of(package: str) -> Sequence[str] | None:
    return getattr(importlib.import_module(package), "__path__", []) if package else None


def _namespace(name: str) -> str | None:
    """Operators are in namespaces that are no files, ``symbol.contrib``."""
    package, _, attribute = name.rpartition(".")
    namespace = getattr(importlib.import_module(package), attribute, None) if package else None
    return name if isinstance(namespace, ModuleType) else None


class _Alias(Loader):
    """Gives a module that exists under another name, and leaves it as it is."""

    def __init__(self, own: str) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        package, _, attribute = self._own.rpartition(".")
        try:
            module = importlib.import_module(self._own)
        except ModuleNotFoundError:
            module = getattr(importlib.import_module(package), attribute)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
