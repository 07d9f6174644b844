"""Checkpoints: a network's symbol and parameters as ``prefix-symbol.json`` and ``prefix-0001.params``.

Each file appears whole or not at all, so a process that dies while saving leaves the previous checkpoint intact.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from . import ndarray as nd
from . import symbol as sym
from .graph.symbol import Symbol
from .ndarray import NDArray

__all__ = ["load_checkpoint", "load_params", "refuse_unknown", "save_checkpoint", "split_params"]

Params = dict[str, NDArray]


def save_checkpoint(
    prefix: str,
    epoch: int,
    symbol: Symbol | None,
    arg_params: Mapping[str, NDArray],
    aux_params: Mapping[str, NDArray],
    remove_amp_cast: bool = True,
) -> None:
    """Write ``prefix-symbol.json`` (if there is a symbol) and ``prefix-<epoch, four digits>.params``."""
    if symbol is not None:
        symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
    values = {f"arg:{name}": array for name, array in arg_params.items()}
    values.update({f"aux:{name}": array for name, array in aux_params.items()})
    file = f"{prefix}-{epoch:04d}.params"
    nd.save(file, values)
    logging.info('Saved checkpoint to "%s"', file)


def load_params(prefix: str, epoch: int) -> tuple[Params, Params]:
    """``(arg_params, aux_params)`` of a checkpoint."""
    file = f"{prefix}-{epoch:04d}.params"
    return split_params(nd.load(file), file)


def load_checkpoint(prefix: str, epoch: int) -> tuple[Symbol, Params, Params]:
    """``(symbol, arg_params, aux_params)`` of a checkpoint."""
    return sym.load(f"{prefix}-symbol.json"), *load_params(prefix, epoch)


def split_params(values: Any, source: str) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """The ``arg:`` and ``aux:`` halves of a loaded parameter file; ValueError for any other name."""
    arg_params: dict[str, NDArray] = {}
    aux_params: dict[str, NDArray] = {}
    if not isinstance(values, dict):
        raise ValueError(f"Invalid param file {source}: its arrays have no names")
    for key, value in values.items():
        kind, _, name = key.partition(":")
        if kind not in ("arg", "aux") or not name:
            raise ValueError(f"Invalid param file {source}: {key!r} is neither arg:NAME nor aux:NAME")
        (arg_params if kind == "arg" else aux_params)[name] = value
    return arg_params, aux_params


def refuse_unknown(symbol: Symbol, *params: Mapping[str, NDArray] | None) -> None:
    """ValueError for a parameter that ``symbol`` does not have."""
    known = symbol.list_inputs()
    for name in (name for given in params for name in given or ()):
        if name not in known:
            raise ValueError(f"Find name {name!r} that is not in the arguments and auxiliary states {known}")
