"""Vectors for tokens, read from files as GloVe and fastText are distributed: a token and its numbers on each line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ... import ndarray as nd
from ...base import MXNetError
from ...ndarray import NDArray
from ...registry import get_create_func, get_register_func
from .vocab import Vocabulary

__all__ = ["CompositeEmbedding", "CustomEmbedding", "FastText", "GloVe", "create", "register"]

_ROOT = Path.home() / ".mxnet" / "embeddings"


class _TokenEmbedding(Vocabulary):
    """A vocabulary whose tokens have vectors. That of the unknown token stands for all that have none."""

    _idx_to_vec: NDArray

    @property
    def vec_len(self) -> int:
        """How many elements a vector has."""
        return self._idx_to_vec.shape[1]

    @property
    def idx_to_vec(self) -> NDArray:
        """The vector of each number, (tokens, elements)."""
        return self._idx_to_vec

    def get_vecs_by_tokens(self, tokens: str | list[str], lower_case_backup: bool = False) -> NDArray:
        """The vector of a token, (elements,), or those of a list, (tokens, elements).

        With ``lower_case_backup`` a token that has none is looked up in lower case before it counts as unknown.
        """
        numbers = []
        for token in [tokens] if isinstance(tokens, str) else tokens:
            if lower_case_backup and token not in self.token_to_idx:
                token = token.lower()
            numbers.append(self.to_indices(token))
        return NDArray(self._idx_to_vec.tensor[numbers[0] if isinstance(tokens, str) else numbers].clone())

    def update_token_vectors(self, tokens: str | list[str], new_vectors: NDArray) -> None:
        """Give a token, or each of a list, a new vector.

        ValueError if a token has none so far (name the unknown token itself to change what stands for those), or
        ``new_vectors`` are not as many as the tokens and as long as :attr:`vec_len`.
        """
        listed = [tokens] if isinstance(tokens, str) else tokens
        unknown = [token for token in listed if token not in self.token_to_idx]
        if unknown:
            raise ValueError(
                f"Token {unknown[0]!r} has no vector. What stands for all such tokens is the vector of "
                f"{self.unknown_token!r}"
            )
        single = len(listed) == 1 and new_vectors.ndim == 1
        shape = (1, *new_vectors.shape) if single else new_vectors.shape
        if shape != (len(listed), self.vec_len):
            raise ValueError(
                f"new_vectors has shape {new_vectors.shape}; {len(listed)} tokens need ({len(listed)}, {self.vec_len})"
            )
        self._idx_to_vec.tensor[self.to_indices(listed)] = new_vectors.tensor.reshape(shape).to(torch.float32)

    def _load(
        self,
        path: str | Path,
        elem_delim: str,
        init_unknown_vec: Callable[..., NDArray],
        encoding: str,
        vocabulary: Vocabulary | None,
    ) -> None:
        """Take the vectors from a file; of ``vocabulary``, if that is given, also the tokens."""
        vectors = _read_vectors(path, elem_delim, encoding)
        length = len(next(iter(vectors.values())))
        given = vectors.pop(self.unknown_token, None)
        unknown = init_unknown_vec(shape=(length,)).asnumpy() if given is None else given
        self._idx_to_token += [token for token in vectors if token not in self._token_to_idx]
        # Reserved tokens that the file does not have are as good as unknown.
        rows = [unknown, *(vectors.get(token, unknown) for token in self._idx_to_token[1:])]
        self._idx_to_vec = nd.array(np.stack(rows))
        self._number_tokens()
        if vocabulary is not None:
            self._restrict(vocabulary, [self])

    def _restrict(self, vocabulary: Vocabulary, sources: Sequence[_TokenEmbedding]) -> None:
        """Have the tokens of ``vocabulary``, each with its vectors from all ``sources``, one behind the other."""
        tokens = list(vocabulary.idx_to_token)
        # The first token is the unknown one, whatever it is called in a source.
        parts = [source._idx_to_vec.tensor[[0, *source.to_indices(tokens[1:])]] for source in sources]
        self._idx_to_vec = NDArray(torch.cat(parts, dim=1))
        self._idx_to_token, self._reserved_tokens = tokens, vocabulary.reserved_tokens
        self._number_tokens()


def _read_vectors(path: str | Path, elem_delim: str, encoding: str) -> dict[str, np.ndarray]:
    """The vector of each token, in the order of the file; MXNetError names a line that is not understood."""
    vectors: dict[str, np.ndarray] = {}
    length = None
    with open(path, encoding=encoding) as lines:
        for number, line in enumerate(lines, 1):
            where = f"Line {number} of {path}"
            token, *elements = line.rstrip().split(elem_delim)
            if not elements:
                raise MXNetError(f"{where} has no vector for {token!r}; are elements separated by {elem_delim!r}?")
            if len(elements) == 1:
                warnings.warn(f"{where} has one element only, as headers do; it is left out", stacklevel=5)
                continue
            if token in vectors:
                warnings.warn(f"{where} has another vector for {token!r}; it is left out", stacklevel=5)
                continue
            try:
                vector = np.array(elements, np.float32)
            except ValueError as error:
                raise MXNetError(f"{where}: {error}") from error
            if length is not None and len(vector) != length:
                raise MXNetError(f"{where} has {len(vector)} elements for {token!r}, those before have {length}")
            vectors[token], length = vector, len(vector)
    if not vectors:
        raise MXNetError(f"{path} has no vectors")
    return vectors


register = get_register_func(_TokenEmbedding, "token embedding")
create = get_create_func(_TokenEmbedding, "token embedding")


class _Distributed(_TokenEmbedding):
    """Vectors from a file that has been downloaded."""

    _folder: str
    _home: str

    def __init__(
        self,
        pretrained_file_name: str,
        embedding_root: str | Path = _ROOT,
        init_unknown_vec: Callable[..., NDArray] = nd.zeros,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        path = Path(embedding_root).expanduser() / self._folder / pretrained_file_name
        if not path.exists():
            raise MXNetError(f"There is no {path}. Nothing is downloaded here: get the file from {self._home}")
        self._load(path, " ", init_unknown_vec, "utf8", vocabulary)


@register
class GloVe(_Distributed):
    """Vectors of GloVe (Pennington et al., 2014), from ``<embedding_root>/glove/<pretrained_file_name>``.

    Parameters are those of :class:`CustomEmbedding`. MXNetError if the file is not there: it is not downloaded.
    """

    _folder = "glove"
    _home = "https://nlp.stanford.edu/projects/glove/"

    def __init__(self, pretrained_file_name: str = "glove.840B.300d.txt", **kwargs: Any) -> None:
        super().__init__(pretrained_file_name, **kwargs)


@register
class FastText(_Distributed):
    """Vectors of fastText (Bojanowski et al., 2017), from ``<embedding_root>/fasttext/<pretrained_file_name>``.

    Parameters are those of :class:`CustomEmbedding`. MXNetError if the file is not there: it is not downloaded.
    """

    _folder = "fasttext"
    _home = "https://fasttext.cc"

    def __init__(self, pretrained_file_name: str = "wiki.simple.vec", **kwargs: Any) -> None:
        super().__init__(pretrained_file_name, **kwargs)


class CustomEmbedding(_TokenEmbedding):
    """Vectors from a file of one's own.

    Parameters
    ----------
    pretrained_file_path : a text file; each line has a token and the elements of its vector. A line with one element
        is taken for a header, and of two lines for a token the first counts.
    elem_delim : what separates them.
    encoding : that of the file.
    init_unknown_vec : gives the vector of the unknown token, called with ``shape``, if the file has none.
    vocabulary : if given, there are vectors for its tokens only; those that the file does not have are unknown.
    kwargs : ``unknown_token`` and ``reserved_tokens``, see :class:`~.vocab.Vocabulary`.

    Raises MXNetError naming the line if it is not understood, or has another number of elements than those before.
    """

    def __init__(
        self,
        pretrained_file_path: str | Path,
        elem_delim: str = " ",
        encoding: str = "utf8",
        init_unknown_vec: Callable[..., NDArray] = nd.zeros,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._load(pretrained_file_path, elem_delim, init_unknown_vec, encoding, vocabulary)


class CompositeEmbedding(_TokenEmbedding):
    """For each token of a vocabulary its vectors from several embeddings, one behind the other."""

    def __init__(self, vocabulary: Vocabulary, token_embeddings: _TokenEmbedding | Sequence[_TokenEmbedding]) -> None:
        super().__init__(unknown_token=vocabulary.unknown_token)
        listed = [token_embeddings] if isinstance(token_embeddings, _TokenEmbedding) else list(token_embeddings)
        self._restrict(vocabulary, listed)
