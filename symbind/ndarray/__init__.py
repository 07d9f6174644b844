"""``mx.nd``: arrays on a device, and a function for every operator that runs at once.

Every operator is a function here, in the sub-namespace its name implies (``contrib``, ``linalg``, ``random``,
``image``, ``sparse``, ``_internal``); ``op`` holds the plain ones alone.
"""

from __future__ import annotations

import sys
from types import ModuleType

from .. import ops as _ops  # registers the operators
from . import composed, control_flow, random, sparse
from .creation import (
    arange,
    array,
    concatenate,
    empty,
    eye,
    from_dlpack,
    from_numpy,
    full,
    histogram,
    linspace,
    moveaxis,
    onehot_encode,
    ones,
    split_v2,
    to_dlpack_for_read,
    to_dlpack_for_write,
    waitall,
    zeros,
)
from .functions import install as _install
from .ndarray import NDArray
from .pairs import (
    add,
    divide,
    equal,
    greater,
    greater_equal,
    lesser,
    lesser_equal,
    logical_and,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    modulo,
    multiply,
    not_equal,
    power,
    subtract,
    true_divide,
)
from .save_load import load, load_frombuffer, save

for _name in ("_internal", "contrib", "image", "linalg", "op"):
    _module = ModuleType(f"{__name__}.{_name}", f"Operators of mx.nd.{_name}.")
    sys.modules[_module.__name__] = globals()[_name] = _module
for _functions in (composed, control_flow):
    for _name in _functions.__all__:
        setattr(globals()["contrib"], _name, getattr(_functions, _name))
_install(sys.modules[__name__])
NDArray.split_v2 = split_v2  # type: ignore[attr-defined]
