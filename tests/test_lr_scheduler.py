"""Schedules against their formulas, and against numbers that MXNet 1.9.1 printed."""

from __future__ import annotations

import logging
import math

import pytest

from symbind.lr_scheduler import CosineScheduler, FactorScheduler, LRScheduler, MultiFactorScheduler, PolyScheduler


def rates(scheduler: LRScheduler, updates: range) -> list[float]:
    return [round(scheduler(n), 8) for n in updates]


def test_factor_reduces_after_every_step_updates() -> None:
    scheduler = FactorScheduler(step=2, factor=0.5, stop_factor_lr=1e-2, base_lr=0.1)
    assert rates(scheduler, range(1, 12)) == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.01, 0.01, 0.01]
    assert scheduler.base_lr == 0.01


def test_factor_catches_up_with_a_late_start() -> None:
    assert FactorScheduler(step=10, factor=0.5, base_lr=1.0)(101) == 0.5**10


def test_factor_logs_every_change(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = FactorScheduler(step=2, factor=0.5, stop_factor_lr=0.04, base_lr=0.1)
    with caplog.at_level(logging.INFO):
        scheduler(3)
        scheduler(5)
    assert caplog.messages == [
        "Update[3]: Change learning rate to 5.00000e-02",
        "Update[5]: now learning rate arrived at 4.00000e-02, will not change in the future",
    ]


def test_factor_warmup_counts_as_updates() -> None:
    # The reductions of the warm-up's updates are made up for at its end.
    scheduler = FactorScheduler(2, 0.5, 1e-2, 0.1, warmup_steps=4, warmup_begin_lr=0.02)
    expected = [0.02, 0.04, 0.06, 0.08, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.01]
    assert rates(scheduler, range(10)) == expected


def test_multi_factor_reduces_at_the_given_updates(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = MultiFactorScheduler([2, 5], factor=0.1, base_lr=0.1)
    with caplog.at_level(logging.INFO):
        assert rates(scheduler, range(8)) == [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001]
    assert caplog.messages == [
        "Update[3]: Change learning rate to 1.00000e-02",
        "Update[6]: Change learning rate to 1.00000e-03",
    ]
    assert rates(MultiFactorScheduler([2, 5], 0.1, 0.1), range(20, 21)) == [0.001]


def test_multi_factor_constant_warmup() -> None:
    scheduler = MultiFactorScheduler([6, 8], 0.1, 0.1, warmup_steps=4, warmup_begin_lr=0.02, warmup_mode="constant")
    assert rates(scheduler, range(10)) == [0.02] * 4 + [0.1] * 3 + [0.01] * 2 + [0.001]


def test_poly() -> None:
    scheduler = PolyScheduler(max_update=10, base_lr=0.1, pwr=2, final_lr=0.01)
    assert rates(scheduler, range(13)) == [
        round(0.01 + 0.09 * (1 - min(n, 10) / 10) ** 2, 8) for n in range(13)
    ]  # fmt: skip
    scheduler = PolyScheduler(10, 0.1, 2, 0.01, warmup_steps=3, warmup_begin_lr=0.02)
    expected = [0.02, 0.04666667, 0.07333333, 0.1, 0.07612245, 0.05591837, 0.03938776, 0.02653061, 0.01734694]
    assert rates(scheduler, range(9)) == expected


def test_cosine() -> None:
    scheduler = CosineScheduler(max_update=10, base_lr=0.1, final_lr=0.01)
    assert rates(scheduler, range(13)) == [
        round(0.01 + 0.09 * (1 + math.cos(math.pi * min(n, 10) / 10)) / 2, 8) for n in range(13)
    ]  # fmt: skip
    scheduler = CosineScheduler(10, 0.1, 0.01, warmup_steps=3, warmup_begin_lr=0.02)
    expected = [0.02, 0.04666667, 0.07333333, 0.1, 0.0955436, 0.08305704, 0.06501344, 0.04498656, 0.02694296]
    assert rates(scheduler, range(9)) == expected


@pytest.mark.parametrize("kind", [PolyScheduler, CosineScheduler])
def test_decay_without_room_after_the_warmup_ends_at_once(kind: type) -> None:
    scheduler = kind(max_update=3, base_lr=0.1, final_lr=0.01, warmup_steps=3)
    assert scheduler(2) < 0.1
    assert scheduler(3) == 0.01


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: FactorScheduler(0), ValueError, "greater or equal than 1 round"),
        (lambda: FactorScheduler(5, 1.5), ValueError, "no more than 1"),
        (lambda: MultiFactorScheduler([]), TypeError, "at least one"),
        (lambda: MultiFactorScheduler(5), TypeError, "list"),
        (lambda: MultiFactorScheduler([3, 2]), ValueError, "increasing"),
        (lambda: MultiFactorScheduler([2, 2]), ValueError, "increasing"),
        (lambda: MultiFactorScheduler([0, 2]), ValueError, "greater or equal than 1 round"),
        (lambda: MultiFactorScheduler([1, 2], 2), ValueError, "no more than 1"),
        (lambda: PolyScheduler(0), ValueError, "strictly positive"),
        (lambda: PolyScheduler(1.5), TypeError, "int"),
        (lambda: CosineScheduler("a"), TypeError, "int"),
        (lambda: LRScheduler(0.1, 2.5), TypeError, "int"),
        (lambda: LRScheduler(0.1, -1), ValueError, "positive or 0"),
        (lambda: LRScheduler(0.1, 5, 0.2), ValueError, "warmup_begin_lr=0.2"),
        (lambda: LRScheduler(0.1, 5, 0, "x"), ValueError, "'x'"),
        (lambda: LRScheduler()(3), NotImplementedError, "LRScheduler"),
        (lambda: LRScheduler(warmup_steps=3).get_warmup_lr(3), ValueError, "3"),
    ],
)
def test_errors(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()  # type: ignore[operator]
