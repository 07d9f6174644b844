"""Finding the library, and being clear where it is missing or does not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from symbind.runtime.onednn import library
from symbind.runtime.onednn.library import MXNetError, Unavailable, Unsupported


@pytest.fixture(autouse=True)
def onednn() -> None:
    """Unlike its neighbours, this file says something where the library is missing too."""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process that has not looked for the library yet."""
    monkeypatch.setattr(library, "_outcome", None)
    monkeypatch.delenv(library.PATH_VARIABLE, raising=False)
    return monkeypatch


def assert_unavailable(*words: str) -> None:
    assert not library.available()
    reason = library.unavailable_reason()
    assert reason is not None
    for word in words:
        assert word in reason
    with pytest.raises(Unavailable) as caught:
        library.load()
    assert str(caught.value) == reason
    assert isinstance(caught.value, MXNetError)


def test_not_installed(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(library, "_WHEEL", "no-such-package-as-this")
    assert_unavailable("not installed", "no-such-package-as-this", "SYMBIND_ONEDNN")


def test_named_file_is_missing(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("SYMBIND_ONEDNN", "/nowhere/libdnnl.so.3")
    assert_unavailable("SYMBIND_ONEDNN", "/nowhere/libdnnl.so.3")


def test_file_is_no_library(fresh: pytest.MonkeyPatch, tmp_path) -> None:
    file = tmp_path / "libdnnl.so.3"
    file.write_bytes(b"not a library")
    fresh.setenv("SYMBIND_ONEDNN", str(file))
    assert_unavailable(str(file), "cannot be used")


def test_file_is_another_library(fresh: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("looks for its own libraries in Linux's way")
    other = next(word for word in Path("/proc/self/maps").read_text().split() if "/libc.so" in word)
    fresh.setenv("SYMBIND_ONEDNN", other)
    assert_unavailable(other, "dnnl_version")


def test_cffi_is_missing(fresh: pytest.MonkeyPatch, tmp_path) -> None:
    file = tmp_path / "libdnnl.so.3"
    file.touch()
    fresh.setenv("SYMBIND_ONEDNN", str(file))
    fresh.setitem(sys.modules, "cffi", None)
    assert_unavailable("cffi")


needs_library = pytest.mark.skipif(not library.available(), reason=str(library.unavailable_reason()))


@needs_library
@pytest.mark.parametrize("name, value", [("_MINIMUM_MINOR", 99), ("_MAJOR", 4)])
def test_other_versions_are_refused(fresh: pytest.MonkeyPatch, name: str, value: int) -> None:
    seen = ".".join(map(str, library.load().version))
    fresh.setattr(library, name, value)
    fresh.setattr(library, "_outcome", None)
    assert_unavailable(f"oneDNN {seen}", "expected")


@needs_library
def test_path_variable_is_followed(fresh: pytest.MonkeyPatch) -> None:
    path = library.load().path
    fresh.setattr(library, "_outcome", None)
    fresh.setattr(library, "_WHEEL", "no-such-package-as-this")
    fresh.setenv("SYMBIND_ONEDNN", path)
    assert library.load().path == path


@needs_library
def test_every_declared_function_exists() -> None:
    loaded = library.load()
    for name in dir(loaded.c):
        assert getattr(loaded.c, name)


@needs_library
def test_status_becomes_an_error() -> None:
    check = library.load().check
    check(0, "do nothing")
    with pytest.raises(Unsupported, match="no implementation to do it"):
        check(3, "do it")
    with pytest.raises(MXNetError, match="failed to do it: invalid arguments"):
        check(2, "do it")
    with pytest.raises(MXNetError, match="failed to do it: status 99"):
        check(99, "do it")


@needs_library
def test_nothing_is_loaded_until_asked_and_openmp_is_loaded_once() -> None:
    program = """
import symbind.runtime.onednn.library as library
import symbind.runtime.onednn.recurrent
mapped = lambda name: {line.split()[-1] for line in open("/proc/self/maps") if name in line}
assert not mapped("libdnnl"), mapped("libdnnl")
library.load()
assert len(mapped("libdnnl")) == 1
assert len(mapped("libgomp")) == 1, mapped("libgomp")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
