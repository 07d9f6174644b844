"""Showing the values that come by while a program runs, to somebody who is curious about a network's inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..context import Context
from ..graph.node import Entry, Node, post_order
from ..graph.symbol import Symbol
from ..ndarray import NDArray
from .engine import Engine
from .program import Program

__all__ = ["Watch"]

Callback = Callable[[bytes, NDArray], None]


class Watch:
    """Calls ``callback(name, array)`` with the values of a symbol's nodes, and of their gradients, as they come.

    With ``show_inputs`` the inputs of the symbol's nodes are shown, too. The program must run every node of the symbol.
    Other nodes of it convert between layouts; copies of a node, which read what these give, have its serial.
    """

    def __init__(self, symbol: Symbol, callback: Callback, show_inputs: bool, context: Context) -> None:
        self._own = {node.serial: node for node in post_order(symbol.entries)}
        self._callback, self._show_inputs, self._context = callback, show_inputs, context

    def forward(self, program: Program, engine: Engine, is_train: bool) -> None:
        """Run forward."""

        def before(node: Node) -> None:
            original = self._own.get(node.serial)
            if original is None or not self._show_inputs:
                return
            names = node.op.input_names(node.params)
            for name, source, entry in zip(names, original.inputs, node.inputs):
                if source.node.is_variable:
                    self._show(source.node.name, entry, program, engine)
                self._show(f"{node.name}_{name}", entry, program, engine)

        def after(node: Node) -> None:
            if node.serial in self._own:
                for i in range(node.num_visible_outputs):
                    self._show(node.output_name(i), Entry(node, i), program, engine)

        program.run_watched("forward", is_train, before, after)

    def backward(self, program: Program, engine: Engine, is_train: bool, names: Mapping[Entry, str]) -> None:
        """Run backward; ``names`` are those of the gradients that are shown."""
        known = {(entry.node.serial, entry.index): name for entry, name in names.items()}

        def after(node: Node) -> None:
            for i in range(node.num_outputs):
                if name := known.get((node.serial, i)):
                    self._show(name, Entry(node, i), program, engine)

        program.run_watched("backward", is_train, lambda node: None, after)

    def _show(self, name: str, entry: Entry, program: Program, engine: Engine) -> None:
        self._callback(name.encode(), NDArray(program.plain(entry, engine), self._context))
