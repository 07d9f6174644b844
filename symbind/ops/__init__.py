"""What a node may be: every operator, declared once, one file per family.

Importing this room registers them all; nothing else is exported. The language of declarations is in
:mod:`symbind.ops.operator`.
"""

from . import (
    broadcast,
    coordinates,
    creation,
    elementwise,
    indexing,
    joining,
    matrix,
    padding,
    random,
    reduce,
    scalar,
    sequence,
    shape,
    slicing,
    sorting,
    tiling,
    unary,
)
