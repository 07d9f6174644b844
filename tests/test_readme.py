"""The examples in the README print what it says."""

import doctest
from pathlib import Path

import symbind as mx


def test_readme_examples():
    readme = Path(__file__).parent.parent / "README.md"
    with mx.name.NameManager():
        failures, tried = doctest.testfile(str(readme), module_relative=False)
    assert tried > 5 and failures == 0
