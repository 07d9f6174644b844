"""Old names and old graphs are loaded, upgraded and written back as MXNet 1.9.1 does it."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbind as mx

from . import archive
from .legacy import ALIASES, GRAPHS, alias_graph, call, reload

RECORDS = archive.read(Path(__file__).parent / "legacy.npz")

# Aliases of operators, and graphs with operators, that this package does not have yet.
NOT_BUILT: set[str] = set()
GRAPHS_NOT_BUILT: set[str] = set()


@pytest.mark.parametrize("alias", [alias for alias in ALIASES if alias not in NOT_BUILT])
def test_alias(alias: str) -> None:
    assert reload(mx, alias_graph(alias)) == RECORDS["aliases"][alias]


@pytest.mark.parametrize("alias", [alias for alias in ALIASES if alias not in NOT_BUILT])
def test_call_by_an_alias(alias: str) -> None:
    assert call(mx, alias) == RECORDS["calls"][alias]


def test_what_is_not_built_is_refused() -> None:
    for text in [*map(alias_graph, NOT_BUILT), *map(GRAPHS.get, GRAPHS_NOT_BUILT)]:
        with pytest.raises(mx.MXNetError):
            reload(mx, text)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in GRAPHS if name not in GRAPHS_NOT_BUILT])
def test_graph(name: str) -> None:
    assert reload(mx, GRAPHS[name]) == RECORDS["graphs"][name]
