"""Which operators oneDNN runs, and how: a file per family, each entering its builders when it is imported."""

from . import (
    broadcast,
    channels,
    convolution,
    elementwise,
    layer_norm,
    lstm_cell,
    normalization,
    pooling,
    products,
    recurrent,
    response_norm,
    softmax,
    upsampling,
)
