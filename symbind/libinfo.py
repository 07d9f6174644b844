"""``mx.libinfo``: the version of the API that is kept."""

__all__ = ["__version__"]

__version__ = "1.9.1"
