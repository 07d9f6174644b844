"""Arguments and gradients that stay in the layout of the kernels from one run to the next.

The arrays keep their content there (:mod:`symbind.ndarray.laid_out`), so that nothing is converted while a network is
trained. Where that cannot be, because somebody else looks at the plain memory of an array, it is converted in each run
that follows a change, as any other value would be.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import torch

from ..generators import generator
from ..ndarray import NDArray
from ..ndarray.laid_out import LaidOut
from ..ndarray.memory import write_count
from ..ops.operator import Environment
from .engine import Engine, Layout, Value

__all__ = ["EngineOrder", "ResidentArgument", "ResidentGradient", "content_for", "resident_layout"]

#: In how many runs in a row an array may be asked for plain before it is left so: memory would be got at every step.
_PATIENCE = 3
#: Executors in several threads may share an array, and find it plain at the same time.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class EngineOrder:
    """The order of elements in a layout of an engine's."""

    engine: Engine
    layout: Layout

    def lay_out(self, plain: torch.Tensor, elements: torch.Tensor) -> None:
        self._convert(plain, None, elements, self.layout, tuple(plain.shape))

    def make_plain(self, elements: torch.Tensor, plain: torch.Tensor) -> None:
        self._convert(elements, self.layout, plain, None, tuple(plain.shape))
        # Kernels that are not torch's write without torch noticing.
        torch.autograd.graph.increment_version(plain)

    def _convert(
        self,
        source: torch.Tensor,
        layout: Layout | None,
        target: torch.Tensor,
        goal: Layout | None,
        shape: tuple[int, ...],
    ) -> None:
        conversion = self.engine.convert(Value(shape, source.dtype, layout), goal)
        assert conversion is not None, "every layout can be made plain, and of what is plain"
        workspace = torch.empty(conversion.workspace, dtype=torch.uint8, device=source.device)
        env = Environment(False, source.device, generator(source.device))
        call = conversion.kernel([source], [target], workspace if len(workspace) else None, env)
        if call is not None:
            call()


def resident_layout(array: NDArray, engine: Engine) -> Layout | None:
    """The layout of ``engine``'s that another program already keeps ``array`` in, if any."""
    home = array.home
    if home is None or not isinstance(home.order, EngineOrder) or home.order.engine is not engine:
        return None
    return home.order.layout


def content_for(array: NDArray, engine: Engine, layout: Layout) -> LaidOut:
    """Where the values of ``array`` go in ``layout``: all programs that read it there share the memory."""
    order = EngineOrder(engine, layout)
    home = array.home
    if home is not None and home.order == order:
        return home
    return LaidOut(torch.empty(array.size, dtype=array.storage.dtype, device=array.storage.device), order, array.shape)


class ResidentArgument:
    """An argument that a program reads from ``content``."""

    def __init__(self, array: NDArray, content: LaidOut) -> None:
        self._array, self._content = array, content
        self._departures = 0
        # The tensor that was last read, and how often it had been written to. Who kept it would look at its memory.
        self._plain: weakref.ref[torch.Tensor] | None = None
        self._version: object = None

    def enter(self) -> None:
        """Have the array's values in ``content``; before every run."""
        if self._array.laid_out is self._content:
            self._departures = max(0, self._departures - 1)
        else:
            self.renew()

    def renew(self) -> None:
        """Have in ``content`` what has been written to the array since :meth:`enter`; before the way back."""
        if self._array.laid_out is self._content:
            return
        with _LOCK:
            plain = self._array.tensor
            version = write_count(plain)
            if self._plain is None or self._plain() is not plain or version != self._version:
                self._content.order.lay_out(plain, self._content.elements)
                self._plain, self._version = weakref.ref(plain), version
            del plain
            # Two for one run in which it stays: it may leave on the way there only, or on the way back.
            self._departures += 2
            if self._departures <= 2 * _PATIENCE:
                self._array.lay_out(self._content)


class ResidentGradient:
    """A gradient that a program writes to ``content``."""

    def __init__(self, array: NDArray, content: LaidOut) -> None:
        self._array, self._content = array, content
        self._departures = 0

    def hand_over(self) -> None:
        """Have the array hold what is in ``content``; after every run."""
        if self._array.laid_out is self._content:
            self._departures = 0
            return
        self._departures += 1
        if self._departures > _PATIENCE or not self._array.lay_out(self._content):
            self._content.order.make_plain(self._content.elements, self._array.tensor)
