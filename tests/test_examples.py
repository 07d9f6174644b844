"""The examples run, in short form, and give about what they say they give."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """An example finds what lies beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


def load(name: str) -> ModuleType:
    """An example as a module; nothing of it runs yet."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pictures(folder: Path) -> set[str]:
    """Names of the pictures in a folder; none is empty."""
    found = list(folder.glob("*.png"))
    assert all(path.stat().st_size > 5000 for path in found)
    return {path.name for path in found}


def test_every_example_is_tested() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")} - {"shared"}
    tested = Path(__file__).read_text()
    assert not {name for name in names if f'load("{name}")' not in tested}


def test_every_example_says_how_it_is_run_and_what_to_expect() -> None:
    for path in EXAMPLES.glob("*.py"):
        if path.stem != "shared":
            doc = path.read_text().split('"""')[1]
            assert f"python examples/{path.name}" in doc and "\nExpected: " in doc, path.name


def test_five_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy, error = load("five_minutes").main(["--short", "--out", str(tmp_path)])
    assert accuracy > 0.95 and 1 <= error < 1.05
    table = re.findall(r"(malignant|benign) +(\d+) +(\d+)\n", capsys.readouterr().out)
    assert sum(int(count) for _, *counts in table for count in counts) == 169
    assert pictures(tmp_path) == {"disease.png"}


def test_custom_loss(tmp_path: Path) -> None:
    assert 0.65 < load("custom_loss").main(["--short", "--out", str(tmp_path)]) < 0.95
    assert pictures(tmp_path) == {"ranges.png"}


def test_custom_iterator(tmp_path: Path) -> None:
    as_they_are, shifted = load("custom_iterator").main(["--short", "--out", str(tmp_path)])
    assert shifted > as_they_are and shifted > 0.8
    assert pictures(tmp_path) == {"accuracy.png"}


def test_classify_image(tmp_path: Path) -> None:
    temple, flower = load("classify_image").main(["--short", "--out", str(tmp_path)])
    assert temple > 0.6 and flower > 0.6
    assert pictures(tmp_path) == {"seen.png"}


def test_time_series(tmp_path: Path) -> None:
    assert load("time_series").main(["--short", "--out", str(tmp_path)]) < 1
    assert pictures(tmp_path) == {"error.png", "waves.png"}


def test_fine_tuning(tmp_path: Path) -> None:
    assert load("fine_tuning").main(["--short", "--out", str(tmp_path)]) > 0.75
    assert pictures(tmp_path) == {"accuracy.png"}


def test_custom_operator(tmp_path: Path) -> None:
    assert load("custom_operator").main(["--short", "--out", str(tmp_path)]) > 0.9
    assert pictures(tmp_path) == {"curves.png"}


def test_matrix_factorization(tmp_path: Path) -> None:
    assert load("matrix_factorization").main(["--short", "--out", str(tmp_path)]) < 0.55
    assert pictures(tmp_path) == {"filled.png"}


def test_digits_lenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch, on the digits as they are."""
    example = load("digits_lenet")
    monkeypatch.setattr(example, "EPOCHS", 1)
    monkeypatch.setattr(example, "SHIFTED_COPIES", 0)
    accuracy = example.train(tmp_path)
    assert accuracy > 0.8
    assert example.evaluate(str(tmp_path / "lenet")) == pytest.approx(accuracy)
    assert pictures(tmp_path) == {"learning_curve.png"}


def test_lstm_bucketing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After five epochs on a third of the text the model knows more than how frequent words are."""
    perplexity = load("lstm_bucketing").main(["--short", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    guessing = float(re.findall(r"guessing by frequency: (\d+)", printed)[0])
    assert perplexity < 0.8 * guessing
    assert pictures(tmp_path) == {"perplexity.png"}
    assert {path.name for path in tmp_path.glob("lstm*")} >= {"lstm-0005.params", "lstm-60-symbol.json", "lstm.buckets"}
    # Three sentences are written, each begun as it was asked for.
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("  ")] == ["the", "if", "a"]


def test_char_rnn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After four epochs on an eighth of the text; and step by step the network says what it says to a sequence."""
    perplexity, difference = load("char_rnn").main(["--short", "--out", str(tmp_path)])
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


@pytest.mark.slow
def test_char_rnn_in_full(tmp_path: Path) -> None:
    """The bound that the example states, on the whole text."""
    perplexity, difference = load("char_rnn").main(["--out", str(tmp_path)])
    assert perplexity < 4.2 and difference < 1e-5
