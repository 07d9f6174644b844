"""Contexts: names of devices, and the default of a thread."""

from __future__ import annotations

import threading

import pytest
import torch

import symbind as mx
from symbind.context import Context, cpu_shared, gpu_memory_info


def test_equality_is_by_type_and_number():
    assert mx.cpu(0) == mx.cpu() == Context("cpu", 0) == Context(mx.cpu())
    assert mx.cpu(0) != mx.cpu(1)
    assert mx.cpu(0) != mx.gpu(0)
    assert mx.cpu(0) != "cpu(0)"
    assert len({mx.cpu(), mx.cpu(0), mx.gpu(0), mx.cpu_pinned(0)}) == 3


@pytest.mark.parametrize(
    ("context", "text", "code"),
    [
        (mx.cpu(3), "cpu(3)", 1),
        (mx.gpu(1), "gpu(1)", 2),
        (mx.cpu_pinned(), "cpu_pinned(0)", 3),
        (cpu_shared(), "cpu_shared(0)", 5),
    ],
)
def test_text_and_code(context, text, code):
    assert str(context) == repr(context) == text
    assert context.device_typeid == code
    assert Context.from_string(text) == context
    assert Context.from_device_type_code(code, context.device_id) == context


@pytest.mark.parametrize("text", ["cpu", "tpu(0)", "cpu(x)", "cpu(0) ", ""])
def test_text_that_is_no_context(text):
    with pytest.raises(mx.MXNetError, match="Invalid context string"):
        Context.from_string(text)


def test_unknown_types():
    with pytest.raises(ValueError, match=r"'tpu'.*cpu, gpu"):
        Context("tpu")
    with pytest.raises(ValueError, match="code 4"):
        Context.from_device_type_code(4)


def test_every_cpu_is_the_one_memory():
    for context in (mx.cpu(), mx.cpu(7), mx.cpu_pinned(), cpu_shared()):
        assert context.device == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_an_error_only_when_used():
    missing = mx.gpu(99)
    with pytest.raises(mx.MXNetError, match=r"gpu\(99\) is not available"):
        missing.device  # noqa: B018
    with pytest.raises(mx.MXNetError, match=r"gpu\(99\)"):
        mx.nd.zeros((2,), ctx=missing)
    with pytest.raises(mx.MXNetError, match=r"gpu\(99\)"):
        mx.nd.zeros((2,)).copyto(missing)
    with pytest.raises(mx.MXNetError, match=r"gpu\(99\)"):
        gpu_memory_info(99)
    assert 0 <= mx.num_gpus() < 99


def test_with_nests_and_is_undone_by_an_error():
    assert mx.current_context() == mx.cpu(0)
    with pytest.raises(KeyError), mx.cpu(1):
        with mx.cpu(2):
            assert mx.current_context() == mx.cpu(2)
            assert mx.nd.zeros((1,)).context == mx.cpu(2)
            assert mx.nd.arange(3).context == mx.cpu(2)
            assert mx.nd.array([1.0], ctx=mx.cpu(5)).context == mx.cpu(5)
        assert mx.current_context() == mx.cpu(1)
        raise KeyError
    assert mx.current_context() == mx.cpu(0)


def test_the_default_belongs_to_the_thread():
    seen = []
    with mx.cpu(1):
        thread = threading.Thread(target=lambda: seen.append(mx.current_context()))
        thread.start()
        thread.join()
    assert seen == [mx.cpu(0)]


def test_the_default_may_be_set_for_a_thread():
    def set_and_read():
        mx.Context.default_ctx = mx.gpu(11)
        seen.append(mx.Context.default_ctx)

    seen = [mx.Context.default_ctx]
    thread = threading.Thread(target=set_and_read)
    thread.start()
    thread.join()
    assert seen == [mx.cpu(0), mx.gpu(11)] and mx.current_context() == mx.cpu(0)
    with mx.cpu(1):
        assert mx.Context.default_ctx == mx.cpu(1)
        mx.Context.default_ctx = mx.cpu(2)
        assert mx.nd.zeros(1).context == mx.cpu(2)
    assert mx.Context.default_ctx == mx.cpu(0)
