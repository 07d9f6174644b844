"""The reference of all operators as Markdown pages, written from their declarations.

``python -m symbind.ops.reference docs/operators`` brings the pages in that folder up to date.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..base import atomic_write
from ..graph import registry
from .operator import Operator
from .parameter import REQUIRED, Param
from .signature import home

__all__ = ["pages", "write"]

_HEADER = "<!-- Written by python -m symbind.ops.reference; edit the declarations instead. -->\n\n"


def pages() -> dict[str, str]:
    """The text of every page by its file name: one for each family of operators, and an index."""
    importlib.import_module(__package__)  # registers the operators
    families: dict[str, list[Operator]] = {}
    for operator in registry.operators():
        # What only gradients and programs consist of is no part of the interface.
        if isinstance(operator, Operator) and not operator.name.startswith(("_backward", "_convert")):
            families.setdefault(_family(operator), []).append(operator)
    for operators in families.values():
        operators.sort(key=lambda operator: _key(operator.name))
    result = {f"{family}.md": _page(family, operators) for family, operators in families.items()}
    result["README.md"] = _index(families)
    return result


def write(folder: Path) -> None:
    """Make ``folder`` hold exactly the pages of now."""
    wanted = pages()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        with atomic_write(folder / name, "w") as file:
            file.write(text)


def _family(operator: Operator) -> str:
    return type(operator).__module__.rpartition(".")[2]


def _key(name: str) -> tuple[str, str]:
    """Alphabetical order of names as people read them."""
    return name.lstrip("_").lower(), name


# ---- pages ---------------------------------------------------------------------------------------------------------


def _index(families: Mapping[str, Sequence[Operator]]) -> str:
    lines = ["# Operators\n"]
    for family in sorted(families):
        title, _ = _module_text(family)
        links = ", ".join(f"[{op.name}]({family}.md#{_anchor(op.name)})" for op in families[family])
        lines.append(f"**[{family}]({family}.md)**: {title}\n\n{links}\n")
    return _HEADER + "\n".join(lines)


def _page(family: str, operators: Sequence[Operator]) -> str:
    title, text = _module_text(family)
    heading = f"# {family.replace('_', ' ').capitalize()}\n\n{title}\n"
    return _HEADER + "\n".join([heading, *filter(None, [text]), *map(_section, operators)])


def _module_text(family: str) -> tuple[str, str]:
    """The first sentence of the family's docstring, and the rest."""
    module = sys.modules.get(f"{__package__}.{family}")
    title, _, rest = inspect.cleandoc((module.__doc__ if module else None) or "").partition("\n\n")
    return markdown(title).replace("\n", " "), f"{markdown(rest)}\n" if rest else ""


def _section(operator: Operator) -> str:
    parts = [f"## {operator.name}\n", f"```python\n{_call(operator)}\n```\n"]
    others = [_function(alias) for alias in sorted(operator.aliases, key=_key)]
    if others:
        parts.append(f"Also {', '.join(f'`{name}`' for name in others)}.\n")
    parts.append(markdown(inspect.cleandoc(operator.doc)) + "\n")
    if operator.parameters:
        rows = [_row(name, param) for name, param in operator.parameters.items()]
        parts.append("| Parameter | Type | Default | Meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    parts.append(_facts(operator))
    return "\n".join(parts)


def _function(name: str) -> str:
    namespace, public = home(name)
    return f"mx.sym.{namespace + '.' if namespace else ''}{public}"


def _call(operator: Operator) -> str:
    """The call with its inputs and required parameters."""
    inputs = ["*data"] if operator.variadic is not None else [*operator.inputs, *operator.auxiliary]
    required = [
        f"{name}=…" for name, param in operator.parameters.items()
        if param.default is REQUIRED and name != operator.variadic
    ]  # fmt: skip
    more = ["…"] if len(required) < len(operator.parameters) - (operator.variadic in operator.parameters) else []
    return f"{_function(operator.name)}({', '.join([*inputs, *required, *more])})"


def _row(name: str, param: Param) -> str:
    default = "required" if param.default is REQUIRED else f"`{param.default!r}`"
    kind = param.kind.name.replace("|", "\\|")
    meaning = markdown(param.doc).replace("\n", " ").replace("|", "\\|")
    return f"| `{name}` | {kind} | {default} | {meaning} |"


def _facts(operator: Operator) -> str:
    """What the declaration says beside the text."""
    facts = []
    if operator.auxiliary:
        facts.append(f"Auxiliary states: {', '.join(f'`{name}`' for name in operator.auxiliary)}.")
    if operator.zero_gradient:
        facts.append("The gradient is zero.")
    elif not operator.is_differentiable:
        facts.append("There is no gradient.")
    elif operator.ignores_head_gradient:
        facts.append("A loss: the gradient does not depend on the head gradient.")
    if operator.random:
        facts.append("Draws random numbers.")
    if operator.mode_dependent:
        facts.append("Training and inference differ.")
    return " ".join(facts) + "\n" if facts else ""


# ---- from docstrings to Markdown -----------------------------------------------------------------------------------


def markdown(text: str) -> str:
    """Docstrings' little reStructuredText as Markdown: tables, formulas, code and cross references."""
    text = re.sub(r"^(=+(?: +=+)+)\n(.*?)\n\1(?=\n\n|\Z)", _table, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^([ \t]*)\.\. math::[ \t]*(.*(?:\n(?:[ \t]*\n)?\1[ \t]+\S.*)*)", _formula, text, flags=re.MULTILINE)
    text = re.sub(r":math:`([^`]*)`", r"$\1$", text)
    text = re.sub(r":\w+:`([^`<]*?) *<[^`>]*>`", r"`\1`", text)
    text = re.sub(r":\w+:`[~.]*([^`]*)`", r"`\1`", text)
    return re.sub(r"``([^`]*)``", r"`\1`", text)


def _formula(match: re.Match[str]) -> str:
    lines = [line.strip() for line in match[2].split("\n") if line.strip()]
    return "$$\n" + "\n".join(lines) + "\n$$"


def _table(match: re.Match[str]) -> str:
    """A table of columns under and over lines of equals signs; a line between them ends the header."""
    starts = [column.start() for column in re.finditer("=+", match[1])]
    body = match[2].split(f"\n{match[1]}\n")
    header = [_cells(line, starts) for line in body[0].split("\n")] if len(body) > 1 else [[""] * len(starts)]
    rows: list[list[str]] = []
    for line in body[-1].split("\n"):
        cells = _cells(line, starts)
        if cells[0] or not rows:
            rows.append(cells)
        else:
            # Without a first cell a line goes on with the row before.
            rows[-1] = [f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells)]
    rule = ["---"] * len(starts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [*header, rule, *rows])


def _cells(line: str, starts: Sequence[int]) -> list[str]:
    return [line[a:b].strip().replace("|", r"\vert ") for a, b in zip(starts, [*starts[1:], None])]


def _anchor(name: str) -> str:
    return name.lower()


def main(arguments: Sequence[str]) -> int:
    """Write the pages to the folder given."""
    if len(arguments) != 1:
        print("usage: python -m symbind.ops.reference FOLDER", file=sys.stderr)
        return 2
    write(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
