"""What oneDNN does in one go that the graph says in several nodes: a file per kind of fusion.

Each file has the operator that stands for the fused nodes, the pattern that recognizes them, and how the library runs
them. The operators are made while binding; no symbol that users hold has them, and no file.
"""

from __future__ import annotations

from ....passes.fuse import Pattern
from .bias_gradient import PATTERNS as BIAS_GRADIENT
from .folding import PATTERNS as FOLDING
from .followers import PATTERNS as FOLLOWERS
from .rectified_batch_norm import PATTERNS as RECTIFIED_BATCH_NORM

__all__ = ["patterns"]


def patterns(training: bool) -> list[Pattern]:
    """What to look for in a graph; ``training`` says that gradients are computed, or statistics taken of the batch."""
    common = [*RECTIFIED_BATCH_NORM, *FOLLOWERS, *BIAS_GRADIENT]
    return common if training else [*FOLDING, *common]
