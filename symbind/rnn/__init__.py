"""Recurrent networks as symbols: cells, their combinations, and batches of sentences for them."""

from .basic import GRUCell, LSTMCell, RNNCell
from .cell import BaseRNNCell, RNNParams
from .checkpoint import do_rnn_checkpoint, load_rnn_checkpoint, rnn_unroll, save_rnn_checkpoint
from .convolutional import BaseConvRNNCell, ConvGRUCell, ConvLSTMCell, ConvRNNCell
from .fused import FusedRNNCell
from .modifier import ModifierCell, ResidualCell, ZoneoutCell
from .network import graph
from .sentences import BucketSentenceIter, encode_sentences
from .stack import BidirectionalCell, DropoutCell, SequentialRNNCell
from .stepwise import StepByStep

__all__ = [
    "BaseConvRNNCell",
    "BaseRNNCell",
    "BidirectionalCell",
    "BucketSentenceIter",
    "ConvGRUCell",
    "ConvLSTMCell",
    "ConvRNNCell",
    "DropoutCell",
    "FusedRNNCell",
    "GRUCell",
    "LSTMCell",
    "ModifierCell",
    "RNNCell",
    "RNNParams",
    "ResidualCell",
    "SequentialRNNCell",
    "StepByStep",
    "ZoneoutCell",
    "do_rnn_checkpoint",
    "encode_sentences",
    "graph",
    "load_rnn_checkpoint",
    "rnn_unroll",
    "save_rnn_checkpoint",
]
