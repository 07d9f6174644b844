"""mx.log, mx.engine and mx.util: small things that programs import."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import pytest

import symbind as mx


def test_lines_of_a_logger(capsys: pytest.CaptureFixture[str]) -> None:
    logger = mx.log.get_logger("symbind.test.lines", level=mx.log.INFO)
    logger.info("hello %d", 3)
    logger.debug("not shown")
    assert mx.log.get_logger("symbind.test.lines") is logger
    logger.error("once")
    lines = capsys.readouterr().err.splitlines()
    pattern = r"\x1b\[3%dm%s\d{4} \d\d:\d\d:\d\d \d+ \S+test_log\.py:test_lines_of_a_logger:\d+\]\x1b\[0m %s"
    assert len(lines) == 2
    assert re.fullmatch(pattern % (2, "I", "hello 3"), lines[0])
    assert re.fullmatch(pattern % (1, "E", "once"), lines[1])


def test_a_logger_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with pytest.warns(DeprecationWarning):
        logger = mx.log.getLogger("symbind.test.file", str(file), level=logging.INFO)
    logger.info("plain")
    assert file.read_text() == "plain\n"
    assert mx.log.get_logger() is logging.getLogger()


def test_bulk_sizes() -> None:
    before = mx.engine.set_bulk_size(4)
    with mx.engine.bulk(9):
        assert mx.engine.set_bulk_size(9) == 9
    assert mx.engine.set_bulk_size(before) == 4


def test_numpy_semantics_are_refused() -> None:
    assert not mx.is_np_shape() and not mx.is_np_array() and not mx.set_np_shape(False)
    with mx.np_shape(False), mx.np_array(False):
        pass
    for scope in (mx.np_shape, mx.np_array):
        with pytest.raises(mx.MXNetError, match="There are no NumPy"), scope():
            pass


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMBIND_TEST", raising=False)
    mx.util.setenv("SYMBIND_TEST", "1")
    assert mx.util.getenv("SYMBIND_TEST") == os.environ["SYMBIND_TEST"] == "1"
    mx.util.setenv("SYMBIND_TEST", None)
    assert mx.util.getenv("SYMBIND_TEST") is None
    mx.util.makedirs(str(tmp_path / "a" / "b"))
    mx.util.makedirs(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
