"""The pages of the documentation: what they show is what happens, and what they link to exists."""

from __future__ import annotations

import doctest
import re
import warnings
from pathlib import Path

import pytest

import symbind as mx

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_tutorials_print_what_they_show(page: Path) -> None:
    with mx.name.NameManager(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a page shows results, not what is deprecated
        failures, tried = doctest.testfile(str(page), module_relative=False)
    assert tried > 5 and failures == 0


def test_links_lead_somewhere() -> None:
    for page in [*DOCS.glob("*.md"), *TUTORIALS]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_tutorial_and_example_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    scripts = {path.name for path in (DOCS.parent / "examples").glob("*.py")} - {"shared.py"}
    assert scripts == set(re.findall(r"`(\w+\.py)`", index))
    assert {f"tutorials/{page.name}" for page in TUTORIALS} == set(re.findall(r"\((tutorials/[^)]+)\)", index))
