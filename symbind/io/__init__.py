"""Data iterators: objects that hand a data set over batch by batch, epoch by epoch."""

from .csv import CSVIter
from .iterator import DataBatch, DataDesc, DataIter, ResizeIter
from .mnist import MNISTIter
from .ndarray_iter import NDArrayIter
from .prefetch import PrefetchingIter

__all__ = [
    "CSVIter",
    "DataBatch",
    "DataDesc",
    "DataIter",
    "MNISTIter",
    "NDArrayIter",
    "PrefetchingIter",
    "ResizeIter",
]
