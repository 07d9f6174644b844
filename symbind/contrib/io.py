"""``mx.contrib.io``: the iterator over loaders, which is at home in :mod:`symbind.io`."""

from ..io import DataLoaderIter

__all__ = ["DataLoaderIter"]
