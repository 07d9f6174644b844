"""Networks made visible: a table of layers, a graphviz graph, and a drawing that needs no other program."""

from .digraph import plot_network
from .summary import print_summary
from .svg import to_svg

__all__ = ["plot_network", "print_summary", "to_svg"]
