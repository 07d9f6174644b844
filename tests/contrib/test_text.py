"""Vocabularies and embeddings: numbers and vectors as MXNet 1.9.1 gives them.

Except for reserved tokens of an embedding: MXNet leaves their rows out, so that the tokens behind have wrong vectors.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind.contrib import text


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "one.txt").write_text("a 0.5 0.25\nb 2 4\n<none> 1 2\n")
    (tmp_path / "two.txt").write_text("2\t3\na\t1\t2\t3\nc\t4\t5\t6\n")
    return tmp_path


def one(files: Path, **settings: Any) -> Any:
    return text.embedding.CustomEmbedding(files / "one.txt", unknown_token="<none>", **settings)


def two(files: Path, **settings: Any) -> Any:
    with pytest.warns(UserWarning, match="Line 1 of .*two.txt has one element only"):
        return text.embedding.CustomEmbedding(files / "two.txt", "\t", **settings)


def test_counting() -> None:
    source = "a b  B\nc A c "
    assert text.utils.count_tokens_from_str(source) == Counter({"c": 2, "a": 1, "b": 1, "B": 1, "A": 1})
    counter = text.utils.count_tokens_from_str(source, to_lower=True, counter_to_update=Counter({"b": 3}))
    assert counter == Counter({"b": 5, "a": 2, "c": 2})
    assert text.utils.count_tokens_from_str("a<>b|<>c", "<>", r"\|") == Counter("abc")


COUNTER = Counter(["a", "b", "b", "c", "c", "c", "some_word$"])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["<unk>", "c", "b", "a", "some_word$"]),
        ({"min_freq": 2}, ["<unk>", "c", "b"]),
        ({"min_freq": 100}, ["<unk>"]),
        ({"most_freq_count": 3}, ["<unk>", "c", "b", "a"]),
        ({"most_freq_count": 1, "min_freq": 2, "reserved_tokens": ["<pad>", "b"]}, ["<unk>", "<pad>", "b", "c"]),
        ({"min_freq": 2, "unknown_token": "b", "reserved_tokens": ["<pad>"]}, ["b", "<pad>", "c"]),
    ],
)
def test_numbers_of_tokens(settings: dict[str, Any], expected: list[str]) -> None:
    vocabulary = text.vocab.Vocabulary(COUNTER, **settings)
    assert vocabulary.idx_to_token == expected
    assert vocabulary.token_to_idx == {token: i for i, token in enumerate(expected)}
    assert vocabulary.unknown_token == expected[0]
    assert vocabulary.reserved_tokens == settings.get("reserved_tokens")
    assert len(vocabulary) == len(expected)


def test_there_and_back() -> None:
    vocabulary = text.vocab.Vocabulary(COUNTER)
    assert vocabulary.to_indices("c") == 1
    assert vocabulary.to_indices(["a", "nowhere", "b"]) == [3, 0, 2]
    assert vocabulary.to_tokens(1) == "c"
    assert vocabulary.to_tokens([3, 0, 2]) == ["a", "<unk>", "b"]
    for wrong in (5, -1, "c", [0, 5]):
        with pytest.raises(ValueError, match="0 to 4"):
            vocabulary.to_tokens(wrong)


def test_mistakes_in_a_vocabulary() -> None:
    with pytest.raises(ValueError, match="min_freq must be positive, got 0"):
        text.vocab.Vocabulary(COUNTER, min_freq=0)
    for reserved in (["b", "b"], ["<unk>"]):
        with pytest.raises(ValueError, match="differ from each other"):
            text.vocab.Vocabulary(COUNTER, reserved_tokens=reserved)
    with pytest.raises(TypeError, match="Counter, got dict"):
        text.vocab.Vocabulary(dict(COUNTER))  # type: ignore[arg-type]


def test_vectors_from_files(files: Path) -> None:
    first = one(files, init_unknown_vec=mx.nd.zeros)
    assert first.idx_to_token == ["<none>", "a", "b"]
    assert first.idx_to_vec.asnumpy().tolist() == [[1, 2], [0.5, 0.25], [2, 4]]
    second = two(files, init_unknown_vec=mx.nd.ones)
    assert second.idx_to_token == ["<unk>", "a", "c"]
    assert second.idx_to_vec.asnumpy().tolist() == [[1, 1, 1], [1, 2, 3], [4, 5, 6]]
    assert (second.vec_len, len(second)) == (3, 3)
    assert second.get_vecs_by_tokens("A").asnumpy().tolist() == [1, 1, 1]
    assert second.get_vecs_by_tokens("A", lower_case_backup=True).asnumpy().tolist() == [1, 2, 3]
    assert second.get_vecs_by_tokens(["c", "nowhere"]).asnumpy().tolist() == [[4, 5, 6], [1, 1, 1]]


def test_reserved_tokens_have_a_row(files: Path) -> None:
    embedding = one(files, reserved_tokens=["<pad>", "b"])
    assert embedding.idx_to_token == ["<none>", "<pad>", "b", "a"]
    assert embedding.idx_to_vec.asnumpy().tolist() == [[1, 2], [1, 2], [2, 4], [0.5, 0.25]]


def test_vectors_for_a_vocabulary(files: Path) -> None:
    vocabulary = text.vocab.Vocabulary(Counter("bbbccd"), most_freq_count=2, reserved_tokens=["<pad>", "a"])
    tokens = ["<unk>", "<pad>", "a", "b", "c"]
    alone = two(files, vocabulary=vocabulary)
    assert (alone.idx_to_token, alone.reserved_tokens) == (tokens, ["<pad>", "a"])
    assert alone.idx_to_vec.asnumpy().tolist() == [[0, 0, 0], [0, 0, 0], [1, 2, 3], [0, 0, 0], [4, 5, 6]]
    both = text.embedding.CompositeEmbedding(vocabulary, [one(files), two(files)])
    assert both.idx_to_token == tokens
    expected = [[1, 2, 0, 0, 0], [1, 2, 0, 0, 0], [0.5, 0.25, 1, 2, 3], [2, 4, 0, 0, 0], [1, 2, 4, 5, 6]]
    assert both.idx_to_vec.asnumpy().tolist() == expected
    assert both.vec_len == 5


def test_new_vectors(files: Path) -> None:
    embedding = one(files)
    embedding.update_token_vectors(["b", "<none>"], mx.nd.array([[7, 7], [8, 8]]))
    embedding.update_token_vectors("a", mx.nd.array([1, 1]))
    assert embedding.idx_to_vec.asnumpy().tolist() == [[8, 8], [1, 1], [7, 7]]
    embedding.get_vecs_by_tokens("a")[:] = 9
    assert embedding.get_vecs_by_tokens("a").asnumpy().tolist() == [1, 1]
    with pytest.raises(ValueError, match="'nowhere' has no vector.*'<none>'"):
        embedding.update_token_vectors(["a", "nowhere"], mx.nd.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"2 tokens need \(2, 2\)"):
        embedding.update_token_vectors(["a", "b"], mx.nd.zeros((2,)))
    assert embedding.idx_to_vec.asnumpy().tolist() == [[8, 8], [1, 1], [7, 7]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb\n", "Line 2 of .* has no vector for 'b'"),
        ("a 1 2\nb 1 2 3\n", "Line 2 of .* has 3 elements for 'b', those before have 2"),
        ("a 1 x\n", "Line 1 of .*could not convert"),
        ("", "has no vectors"),
    ],
)
def test_damaged_files(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "bad.txt").write_text(content)
    with pytest.raises(mx.MXNetError, match=message):
        text.embedding.CustomEmbedding(tmp_path / "bad.txt")


def test_the_first_of_two_vectors_counts(tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("a 1 2\na 3 4\n")
    with pytest.warns(UserWarning, match="Line 2 of .* has another vector for 'a'"):
        embedding = text.embedding.CustomEmbedding(tmp_path / "twice.txt")
    assert embedding.get_vecs_by_tokens("a").asnumpy().tolist() == [1, 2]


@pytest.mark.parametrize("name", ["glove", "fasttext"])
def test_files_that_are_distributed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "small.txt").write_text("a 1 2\n")
    embedding = text.embedding.create(name, pretrained_file_name="small.txt", embedding_root=tmp_path)
    np.testing.assert_array_equal(embedding.idx_to_vec.asnumpy(), [[0, 0], [1, 2]])
    with pytest.raises(mx.MXNetError, match="There is no .*other.txt.*get the file from https://"):
        text.embedding.create(name, pretrained_file_name="other.txt", embedding_root=tmp_path)
