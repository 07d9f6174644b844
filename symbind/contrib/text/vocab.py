"""A vocabulary: which words have numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

__all__ = ["Vocabulary"]


class Vocabulary:
    """Numbers tokens: 0 is the unknown token, then come the reserved tokens, then those of a counter by frequency.

    Parameters
    ----------
    counter : how often each token occurs; tokens that occur equally often are numbered in their own order.
    most_freq_count : of how many tokens of the counter there are numbers at most; None for all.
    min_freq : how often a token must occur to have one.
    unknown_token : what stands for all tokens without a number.
    reserved_tokens : tokens that have numbers anyway, such as for padding.

    Raises ValueError if ``min_freq`` is not positive, or reserved tokens are repeated or include the unknown one, and
    TypeError if ``counter`` is no ``collections.Counter``.
    """

    def __init__(
        self,
        counter: Counter[Any] | None = None,
        most_freq_count: int | None = None,
        min_freq: int = 1,
        unknown_token: Hashable = "<unk>",
        reserved_tokens: Sequence[Hashable] | None = None,
    ) -> None:
        if min_freq <= 0:
            raise ValueError(f"min_freq must be positive, got {min_freq}")
        if counter is not None and not isinstance(counter, Counter):
            raise TypeError(f"counter must be a collections.Counter, got {type(counter).__name__}")
        special = [unknown_token, *(reserved_tokens or ())]
        if len(set(special)) != len(special):
            raise ValueError(
                f"reserved_tokens must differ from each other and from the unknown token {unknown_token!r}, got "
                f"{list(reserved_tokens or ())}"
            )
        counted = sorted((counter or Counter()).items(), key=lambda item: item[0])
        counted.sort(key=lambda item: item[1], reverse=True)
        frequent = [token for token, count in counted if count >= min_freq and token not in special]
        self._reserved_tokens = None if reserved_tokens is None else list(reserved_tokens)
        self._idx_to_token: list[Any] = special + frequent[:most_freq_count]
        self._number_tokens()

    def _number_tokens(self) -> None:
        self._token_to_idx = {token: i for i, token in enumerate(self._idx_to_token)}

    def __len__(self) -> int:
        return len(self._idx_to_token)

    @property
    def token_to_idx(self) -> dict[Any, int]:
        """The number of each token."""
        return self._token_to_idx

    @property
    def idx_to_token(self) -> list[Any]:
        """The token of each number."""
        return self._idx_to_token

    @property
    def unknown_token(self) -> Any:
        """What stands for all tokens without a number; its own is 0."""
        return self._idx_to_token[0]

    @property
    def reserved_tokens(self) -> list[Any] | None:
        """The tokens that were reserved; None if none were given."""
        return self._reserved_tokens

    def to_indices(self, tokens: Any) -> Any:
        """The number of a token, or a list of those of a list; 0 for an unknown one."""
        if isinstance(tokens, list):
            return [self._token_to_idx.get(token, 0) for token in tokens]
        return self._token_to_idx.get(tokens, 0)

    def to_tokens(self, indices: Any) -> Any:
        """The token of a number, or a list of those of a list; ValueError for a number that no token has."""
        if isinstance(indices, list):
            return [self.to_tokens(index) for index in indices]
        if not isinstance(indices, int) or not 0 <= indices < len(self):
            raise ValueError(f"{indices!r} is not the number of a token; those are 0 to {len(self) - 1}")
        return self._idx_to_token[indices]
