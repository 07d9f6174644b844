"""The reference pages of operators are those that the declarations make now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbind.graph import registry
from symbind.ops.reference import main, markdown, pages

FOLDER = Path(__file__).parents[2] / "docs" / "operators"


def test_the_pages_are_up_to_date() -> None:
    wanted = pages()
    present = {file.name: file.read_text() for file in FOLDER.glob("*.md")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    assert not stale, f"run `make docs`: {', '.join(stale)}"


def test_every_operator_is_on_one_page_and_in_the_index() -> None:
    wanted = pages()
    index = wanted.pop("README.md")
    sections = [title for text in wanted.values() for title in re.findall(r"^## (\S+)$", text, re.MULTILINE)]
    public = {op.name for op in registry.operators() if not op.name.startswith(("_backward", "_convert"))}
    assert sorted(sections) == sorted(public)
    links = re.findall(r"\[(\w+)\]\((\w+\.md)#(\w+)\)", index)
    assert sorted(name for name, _, _ in links) == sorted(public)
    for name, page, anchor in links:
        assert f"\n## {name}\n" in wanted[page] and anchor == name.lower()


def test_no_markup_is_left_over() -> None:
    for name, text in pages().items():
        assert not re.search(r":\w+:`|\.\. \w+::|^=+ =+", text, re.MULTILINE), name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the sum :math:`a + b` of ``a``", "the sum $a + b$ of `a`"),
        (":class:`Sum`, :func:`~x.y` and :class:`sum <Sum>`", "`Sum`, `x.y` and `sum`"),
        ("First.\n\n.. math:: a = b\n\nLast.", "First.\n\n$$\na = b\n$$\n\nLast."),
        (".. math:: a\n    = b\n\nLast.", "$$\na\n= b\n$$\n\nLast."),
        (".. math::\n\n    a = b\n\nLast.", "$$\na = b\n$$\n\nLast."),
        (
            "===  ===\nA    ``b``\nc    |d|\n     e\n===  ===",
            "|  |  |\n| --- | --- |\n| A | `b` |\n| c | \\vert d\\vert  e |",
        ),
        ("=  =\na  b\n=  =\nc  d\n=  =", "| a | b |\n| --- | --- |\n| c | d |"),
    ],
)
def test_markdown(text: str, expected: str) -> None:
    assert markdown(text) == expected


def test_the_command_makes_a_folder_hold_exactly_the_pages(tmp_path) -> None:
    (tmp_path / "gone.md").write_text("an operator family that was renamed")
    assert main([str(tmp_path)]) == 0
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == pages()
    assert main([]) == 2
