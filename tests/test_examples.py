"""The examples run, in short form."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    """An example as a module; nothing of it runs yet."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lstm_bucketing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After five epochs on a third of the text the model knows more than how frequent words are."""
    arguments = ["--epochs", "5", "--hidden", "48", "--sentences", "900", "--out", str(tmp_path)]
    perplexity = load("lstm_bucketing").main(arguments)
    printed = capsys.readouterr().out
    guessing = float(re.findall(r"guessing by frequency: (\d+)", printed)[0])
    assert perplexity < 0.8 * guessing
    assert (tmp_path / "perplexity.png").stat().st_size > 5000
    assert {path.name for path in tmp_path.glob("lstm*")} >= {"lstm-0005.params", "lstm-60-symbol.json", "lstm.buckets"}
    # Three sentences are written, each begun as it was asked for.
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("  ")] == ["the", "if", "a"]


def test_char_rnn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After four epochs on an eighth of the text; and step by step the network says what it says to a sequence."""
    arguments = ["--epochs", "4", "--hidden", "48", "--characters", "60000", "--out", str(tmp_path)]
    perplexity, difference = load("char_rnn").main(arguments)
    printed = capsys.readouterr().out
    guessing = float(re.findall(r"guessing by frequency: ([\d.]+)", printed)[0])
    assert perplexity < 0.8 * guessing
    assert difference < 1e-5
    assert len(re.findall(r"^The [\s\S]{300}$", printed, re.MULTILINE)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {
        "char_rnn-0004.params",
        "char_rnn-symbol.json",
        "perplexity.png",
    }
