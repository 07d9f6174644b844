"""``mx.sym``: symbols and the functions that make them.

Every operator is a function here, in the sub-namespace its name implies (``contrib``, ``linalg``, ``random``,
``image``, ``sparse``, ``_internal``); ``op`` holds the plain ones alone.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .. import ops as _ops  # registers the operators
from ..graph.symbol import Group, Symbol, Variable, load, load_json, var
from . import composed, control_flow, random
from .creation import (
    arange,
    eye,
    full,
    histogram,
    hypot,
    linspace,
    maximum,
    minimum,
    ones,
    pow,
    power,
    split_v2,
    zeros,
)
from .functions import install as _install_functions
from .methods import install as _install_methods

for _name in ("_internal", "contrib", "image", "linalg", "op", "sparse"):
    _module = ModuleType(f"{__name__}.{_name}", f"Operators of mx.sym.{_name}.")
    sys.modules[_module.__name__] = globals()[_name] = _module
for _functions in (composed, control_flow):
    for _name in _functions.__all__:
        setattr(globals()["contrib"], _name, getattr(_functions, _name))
_install_functions(sys.modules[__name__])
_install_methods()

if TYPE_CHECKING:
    # The operators are found at run time; a type checker only needs to know that they can be called.
    def __getattr__(name: str) -> Any: ...
