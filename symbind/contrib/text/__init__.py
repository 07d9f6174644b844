"""``mx.contrib.text``: from words to numbers, and to vectors that somebody has trained."""

from . import embedding, utils, vocab

__all__ = ["embedding", "utils", "vocab"]
