"""What a node may be: every operator, declared once, one file per family.

Importing this room registers them all; nothing else is exported. The language of declarations is in
:mod:`symbind.ops.operator`.
"""

from . import (
    activation,
    attention,
    batch_norm,
    broadcast,
    columns,
    conversion,
    convolution,
    coordinates,
    creation,
    cross_entropy,
    diagonals,
    dropout,
    elementwise,
    fully_connected,
    gradient_control,
    histogram,
    indexing,
    joining,
    linalg,
    loss,
    matrix,
    normalization,
    padding,
    pooling,
    random,
    recurrent,
    reduce,
    scalar,
    sequence,
    shape,
    slicing,
    softmax,
    sorting,
    tiling,
    unary,
    upsampling,
)
