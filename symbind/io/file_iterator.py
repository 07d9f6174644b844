"""What iterators over files share."""

from __future__ import annotations

import warnings
from typing import Any

from .iterator import DataBatch, DataIter

__all__ = ["MXDataIter", "warn_of_ignored"]


class MXDataIter(DataIter):
    """Base of the iterators over files, which have one array of data and one of labels.

    :meth:`getdata` and :meth:`getlabel` give that array, where other iterators give a list. (In MXNet these iterators
    are written in C++, and this class wraps them.)
    """

    def next(self) -> DataBatch:
        if not self.iter_next():
            raise StopIteration
        return DataBatch([self.getdata()], [self.getlabel()], self.getpad(), self.getindex())

    def getdata(self) -> Any:
        data = super().getdata()
        return None if data is None else data[0]

    def getlabel(self) -> Any:
        label = super().getlabel()
        return None if label is None else label[0]


def warn_of_ignored(iterator: object, ignored: dict[str, Any]) -> None:
    """MXNet's file iterators accept any keyword, and scripts rely on it; say which ones have no effect."""
    if ignored:
        warnings.warn(f"{type(iterator).__name__} makes no use of {', '.join(sorted(ignored))}", stacklevel=3)
