"""The sums of a profile as a table for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .recorder import Sum

__all__ = ["SORT_KEYS", "as_json", "as_table"]

Sums = Mapping[str, Sum]

SORT_KEYS = {
    "total": lambda s: s.total,
    "avg": lambda s: s.average,
    "min": lambda s: s.least,
    "max": lambda s: s.greatest,
    "count": lambda s: s.count,
}
_TIME_TITLES = ("Total Count", "Time (ms)", "Min Time (ms)", "Max Time (ms)", "Avg Time (ms)", "Memory (kB)")
_SIZE_TITLES = ("Total Count", "Min Use  (kB)", "Max Use  (kB)", "Avg Use  (kB)")


def as_table(times: Mapping[str, Sums], sizes: Sums, sort_by: str, ascending: bool) -> str:
    """One section for memory, and one for each category of what took time."""
    lines = ["", "Profile Statistics:", "\tNote the difference in units for different entries."]
    if sizes:
        rows = [(name, _size_cells(s)) for name, s in _sorted(sizes, sort_by, ascending)]
        lines += _section("Device Storage", _SIZE_TITLES, rows)
    for category in sorted(times):
        rows = [(name, _time_cells(s)) for name, s in _sorted(times[category], sort_by, ascending)]
        lines += _section(category, _TIME_TITLES, rows)
    return "\n".join(lines) + "\n"


def as_json(times: Mapping[str, Sums], sizes: Sums, sort_by: str, ascending: bool) -> str:
    """The same as a JSON object with ``Time``, ``Memory`` and ``Unit``."""
    result: dict[str, Any] = {
        "Time": {
            category: {
                name: {"Count": s.count, "Total": s.total, "Min": s.least, "Max": s.greatest, "Avg": s.average}
                for name, s in _sorted(times[category], sort_by, ascending)
            }
            for category in sorted(times)
        },
        "Memory": {},
        "Unit": {"Time": "ms", "Memory": "kB"},
    }
    if sizes:
        result["Memory"]["Device Storage"] = {
            name: {"Count": s.count, "Min": s.least / 1e3, "Max": s.greatest / 1e3, "Avg": s.average / 1e3}
            for name, s in _sorted(sizes, sort_by, ascending)
        }
    return json.dumps(result, indent=4)


def _sorted(sums: Sums, sort_by: str, ascending: bool) -> list[tuple[str, Sum]]:
    key = SORT_KEYS[sort_by]
    return sorted(sums.items(), key=lambda item: key(item[1]), reverse=not ascending)


def _time_cells(s: Sum) -> list[str]:
    times = (s.total, s.least, s.greatest, s.average)
    return [str(s.count), *(f"{value:.4f}" for value in times), f"{s.bytes / 1e3:.4f}" if s.bytes else ""]


def _size_cells(s: Sum) -> list[str]:
    return [str(s.count), *(f"{value / 1e3:.4f}" for value in (s.least, s.greatest, s.average))]


def _section(title: str, titles: tuple[str, ...], rows: list[tuple[str, list[str]]]) -> list[str]:
    width = max([25, *(len(name) for name, _ in rows)])

    def line(name: str, cells: Any) -> str:
        return name.ljust(width) + "".join(cell.rjust(17) for cell in cells)

    rule = line("----", ["-" * len(title) for title in titles])
    return [title, "=" * 17, line("Name", titles), rule, *(line(*row).rstrip() for row in rows), ""]
