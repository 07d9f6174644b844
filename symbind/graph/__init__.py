"""What a network is: nodes, symbols, names, attributes and their JSON text. Nothing here computes anything.

This room knows operators only through :class:`~symbind.graph.registry.OperatorType`, what an operator must answer
so that graphs can be built from it.
"""

from .attribute import AttrScope
from .naming import NameManager, Prefix
from .node import Entry, Node, post_order
from .symbol import Group, Symbol, Variable, load, load_json, var

__all__ = [
    "AttrScope",
    "Entry",
    "Group",
    "NameManager",
    "Node",
    "Prefix",
    "Symbol",
    "Variable",
    "load",
    "load_json",
    "post_order",
    "var",
]
