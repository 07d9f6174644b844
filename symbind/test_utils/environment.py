"""The surroundings that tests run in: environment variables, devices, output, repetition."""

from __future__ import annotations

import functools
import os
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from ..context import num_gpus
from ..io import DataBatch, DataIter
from ..ndarray import waitall

__all__ = [
    "DummyIter", "EnvManager", "assert_exception", "discard_stderr", "environment", "get_im2rec_path", "list_gpus",
    "retry", "set_env_var",
]  # fmt: skip


@contextmanager
def environment(*args: Any) -> Iterator[None]:
    """Run a block with other environment variables, and put them back however it ends.

    Takes a name and a value, or one dict of values by name; a variable whose value is None is unset.
    """
    if len(args) == 2:
        wanted: Mapping[str, str | None] = {args[0]: args[1]}
    elif len(args) == 1 and isinstance(args[0], Mapping):
        wanted = args[0]
    else:
        raise TypeError(f"environment takes a name and a value, or a dict of them, not {args!r}")
    before = {name: os.environ.get(name) for name in wanted}
    try:
        _set_environment(wanted)
        yield
    finally:
        # What runs in the background may still look at them.
        waitall()
        _set_environment(before)


#: The older name, for one variable.
EnvManager = environment


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def set_env_var(key: str, val: str, default_val: str = "") -> str:
    """Set an environment variable for good; returns what it was, or ``default_val`` if it was not set."""
    before = os.environ.get(key, default_val)
    os.environ[key] = val
    return before


@contextmanager
def discard_stderr() -> Iterator[None]:
    """Run a block and throw away what Python, or native code in it, writes to standard error."""
    native = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(native, 2)
        os.close(native)


def list_gpus() -> range:
    """The numbers of the GPUs that can be used, which are none on most machines."""
    return range(num_gpus())


def get_im2rec_path(home_env: str = "MXNET_HOME") -> str:
    """The path of the Python script that packs images into record files.

    It is ``tools/im2rec.py`` below the folder that the environment variable ``home_env`` names, if that is set and has
    one, and otherwise the command ``im2rec`` that is installed with this package. OSError if there is neither.
    """
    candidates = [Path(sysconfig.get_path("scripts"), "im2rec")]
    if home_env in os.environ:
        candidates.insert(0, Path(os.environ[home_env], "tools", "im2rec.py"))
    for path in candidates:
        if path.is_file():
            return str(path)
    raise OSError(
        f"Could not find im2rec at {' or '.join(map(str, candidates))}: this package is not installed here. "
        "`python -m symbind.im2rec` runs it all the same"
    )


def assert_exception(f: Callable[..., Any], exception_type: type[BaseException], *args: Any, **kwargs: Any) -> None:
    """AssertionError unless ``f(*args, **kwargs)`` raises ``exception_type``."""
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f"{f!r} did not raise {exception_type.__name__}")


def retry(n: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: run a test of something random up to ``n`` times, until no assertion in it fails."""
    if n <= 0:
        raise ValueError(f"A test must run at least once, not {n} times")

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def repeated(*args: Any, **kwargs: Any) -> Any:
            for _ in range(n - 1):
                try:
                    return test(*args, **kwargs)
                except AssertionError:
                    waitall()
            return test(*args, **kwargs)

        return repeated

    return decorate


class DummyIter(DataIter):
    """An iterator without end whose every batch is the first one of ``real_iter``: training speed without reading."""

    def __init__(self, real_iter: DataIter) -> None:
        super().__init__(real_iter.batch_size)
        self.real_iter = real_iter
        self.provide_data = real_iter.provide_data
        self.provide_label = real_iter.provide_label
        self.the_batch = next(real_iter)

    def next(self) -> DataBatch:
        return self.the_batch
