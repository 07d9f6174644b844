"""A symbol as an SVG drawing that needs no other program: what a notebook shows."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from ..graph import Entry, Node, Symbol, post_order
from .facts import Shape, known_shapes, require_symbol, weight_nodes
from .layout import Layout, Place, layered_layout

__all__ = ["to_svg"]

# One colour for each family of operators, that is for each file they are declared in.
COLOURS = {
    "convolution": "#4f46e5",
    "fully_connected": "#4f46e5",
    "matrix": "#4f46e5",
    "recurrent": "#0e7490",
    "indexing": "#0e7490",
    "sequence": "#0e7490",
    "pooling": "#7c3aed",
    "normalization": "#b45309",
    "activation": "#059669",
    "loss": "#e11d48",
    "cross_entropy": "#e11d48",
}
OTHER_COLOUR = "#475569"
EDGE, INK, MUTED, PAPER, BORDER = "#94a3b8", "#1e293b", "#64748b", "#f8fafc", "#cbd5e1"

TITLE_SIZE, TEXT_SIZE = 12.5, 11.0
TITLE_HEIGHT, LINE_HEIGHT, PADDING = 26.0, 16.0, 11.0
NARROWEST, WIDEST = 92.0, 300.0
PARAMETER_LINES = 3
MARGIN = 24.0
ARROW = 7.0
PORT_GAP = 14.0

# Attributes that say how to compute, not what.
TECHNICAL = frozenset(["workspace", "cudnn_tune", "cudnn_off"])


@dataclass
class Box:
    """What is written into the box of one node."""

    title: str
    name: str
    colour: str | None  # None for a variable
    lines: list[str] = field(default_factory=list)
    shape: str = ""
    remark: str = ""
    tooltip: str = ""
    width: float = 0.0
    height: float = 0.0


def to_svg(
    symbol: Symbol,
    shape: Mapping[str, Sequence[int]] | None = None,
    title: str | None = None,
    hide_weights: bool = True,
) -> str:
    """Draw a graph, inputs on top.

    Every operator is a box with its name, the parameters it was given, and, as far as ``shape`` or the variables'
    own shapes tell, the shape of its outputs and how many numbers its parameters hold.

    Parameters
    ----------
    symbol : Symbol
    shape : dict from names of variables to shapes, optional
    title : str, optional
        What a screen reader announces; the symbol's name if not given.
    hide_weights : bool
        Leave the parameters of layers out.

    Returns
    -------
    str : an SVG document
    """
    require_symbol(symbol)
    order = post_order(symbol.entries)
    shapes = known_shapes(symbol, shape or {})
    weights = weight_nodes(order) if hide_weights else set()
    drawn = [node for node in order if node not in weights]
    number = {node: i for i, node in enumerate(drawn)}
    boxes = [_box(node, shapes, weights) for node in drawn]
    edges = [(number[entry.node], number[node]) for node in drawn for entry in node.inputs if entry.node in number]
    layout = layered_layout([(box.width, box.height) for box in boxes], edges)
    return "\n".join(_document(layout, boxes, title or symbol.name or "network"))


# ---- what a box says ---------------------------------------------------------------------------------------------


def _box(node: Node, shapes: Mapping[Entry, Shape], weights: set[Node]) -> Box:
    outputs = [shapes.get(Entry(node, i), ()) for i in range(node.num_visible_outputs)]
    if node.op is None:
        box = Box(node.name, "", None, tooltip=node.name)
    else:
        colour = COLOURS.get(node.op.__module__.rpartition(".")[2], OTHER_COLOUR)
        box = Box(node.op.name, node.name, colour)
        parameters = [
            f"{key} {_readable(value)}"
            for key, value in node.attrs.items()
            if key not in TECHNICAL and not key.startswith("__")
        ]
        box.lines = list(_wrapped(parameters))
        box.tooltip = "\n".join([f"{node.op.name} {node.name}", *(f"{k}={v}" for k, v in node.attrs.items())])
        states = set(node.op.auxiliary_inputs(node.params))
        held = sum(
            math.prod(shapes[entry])
            for i, entry in enumerate(node.inputs)
            if i not in states and entry.node in weights and shapes[entry]
        )
        box.remark = f"{held:,} params" if held else ""
    if all(outputs):
        same = len(set(outputs)) == 1
        box.shape = _dimensions(outputs[0]) if same else ", ".join(map(_dimensions, outputs))
        if same and len(outputs) > 1:
            box.shape = f"{len(outputs)} of {box.shape}"
    _measure(box)
    return box


def _measure(box: Box) -> None:
    """Give the box its size, and shorten what does not fit into the widest one."""
    room = WIDEST - 2 * PADDING
    box.title = _shortened(box.title, TITLE_SIZE, room)
    if box.name:
        box.name = _shortened(box.name, TEXT_SIZE, max(60.0, room - _width(box.title, TITLE_SIZE) - PADDING))
    box.shape = _shortened(box.shape, TEXT_SIZE, room - _width(box.remark, TEXT_SIZE) - PADDING)
    widths = [
        _width(box.title, TITLE_SIZE) + (PADDING + _width(box.name, TEXT_SIZE) if box.name else 0),
        *(_width(line, TEXT_SIZE) for line in box.lines),
        _width(box.shape, TEXT_SIZE) + (PADDING + _width(box.remark, TEXT_SIZE) if box.remark else 0),
    ]
    box.width = max(NARROWEST, max(widths) + 2 * PADDING)
    body = len(box.lines) + bool(box.shape or box.remark)
    box.height = TITLE_HEIGHT + (body * LINE_HEIGHT + 8 if body else 0)


def _readable(value: str) -> str:
    """``(5, 5)`` as ``5×5``."""
    if re.fullmatch(r"[(\[]\s*-?\d+(\s*,\s*-?\d+)*\s*,?\s*[)\]]", value):
        return "×".join(re.findall(r"-?\d+", value))
    return value


def _dimensions(shape: Shape) -> str:
    return "×".join(str(dim or "?") for dim in shape)


def _wrapped(phrases: Sequence[str]) -> Iterator[str]:
    """The phrases joined to lines, not too many of them."""
    room = WIDEST - 2 * PADDING
    lines: list[str] = []
    for phrase in phrases:
        phrase = _shortened(phrase, TEXT_SIZE, room)
        joined = f"{lines[-1]} · {phrase}" if lines else phrase
        # Lines of about three quarters of the room look better than full ones.
        if lines and _width(joined, TEXT_SIZE) <= 0.75 * room:
            lines[-1] = joined
        else:
            lines.append(phrase)
    yield from lines[:PARAMETER_LINES]
    if len(lines) > PARAMETER_LINES:
        yield "…"


def _width(text: str, size: float) -> float:
    """About how wide a sans-serif text is; fonts are not at hand here."""
    total = 0.0
    for c in text:
        if c in "iljtfrI.,:;'|!()[]- ":
            total += 0.34
        elif c in "mwMW@%—…":
            total += 0.92
        elif c.isupper():
            total += 0.70
        elif unicodedata.east_asian_width(c) in "WF":
            total += 1.0
        else:
            total += 0.57
    return total * size


def _shortened(text: str, size: float, room: float) -> str:
    """The text with its middle left out if it is too wide; beginnings and ends tell names apart."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if _width(text, size) <= room:
        return text
    keep = max(1, int(len(text) * room / _width(text, size)) - 2)
    return f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"


# ---- SVG ---------------------------------------------------------------------------------------------------------


def _document(layout: Layout, boxes: Sequence[Box], title: str) -> Iterator[str]:
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    title = _text_of(title)
    # Attributes instead of a style sheet: style sheets of drawings that share a page would mix.
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)} '
        f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'font-family="Inter, Segoe UI, Helvetica, Arial, sans-serif">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{_n(width)}" height="{_n(height)}" rx="10" fill="{PAPER}"/>'
    yield f'<g transform="translate({_n(MARGIN)} {_n(MARGIN)})">'
    yield f'<g fill="none" stroke="{EDGE}" stroke-width="1.5">'
    tips: list[str] = []
    for place in layout.places:
        yield from _edges_into(place, layout, tips)
    yield "</g>"
    yield f'<path fill="{EDGE}" d="{" ".join(tips)}"/>'
    for place in layout.places:
        if place.node is not None:
            yield from _draw_box(boxes[place.node], place)
    yield "</g>"
    yield "</svg>"


def _edges_into(place: Place, layout: Layout, tips: list[str]) -> Iterator[str]:
    """The last part of every edge that arrives at a place; where they arrive at a box, side by side and with a tip."""
    sources = sorted((layout.places[i] for i in place.above), key=lambda p: p.x)
    gap = min(PORT_GAP, place.width / (len(sources) + 1)) if place.width else 0.0
    straight = [i for i, source in enumerate(sources) if abs(source.x - place.x) < 1]
    centre = straight[0] if straight else (len(sources) - 1) / 2
    for i, source in enumerate(sources):
        x = place.x + (i - centre) * gap
        start = source.y + source.height / 2 if source.node is not None else layout.layer_top[source.layer]
        leave = layout.layer_bottom[source.layer]
        arrive = layout.layer_top[place.layer]
        end = arrive
        if place.node is not None:
            end = place.y - place.height / 2 - ARROW
            tips.append(f"M{_n(x - ARROW / 2)} {_n(end)}h{_n(ARROW)}l{_n(-ARROW / 2)} {_n(ARROW)}z")
            arrive = min(arrive, end)
        middle = (leave + arrive) / 2
        yield (
            f'<path d="M{_n(source.x)} {_n(start)}V{_n(leave)}'
            f'C{_n(source.x)} {_n(middle)} {_n(x)} {_n(middle)} {_n(x)} {_n(arrive)}V{_n(end)}"/>'
        )


def _draw_box(box: Box, place: Place) -> Iterator[str]:
    left, top = place.x - box.width / 2, place.y - box.height / 2
    right = box.width - PADDING
    yield f'<g transform="translate({_n(left)} {_n(top)})">'
    yield f"<title>{escape(_text_of(box.tooltip))}</title>"
    size = f'width="{_n(box.width)}" height="{_n(box.height)}"'
    if box.colour is None:
        yield f'<rect {size} rx="13" fill="#ffffff" stroke="{EDGE}" stroke-width="1.5"/>'
        yield _text(box.width / 2, 17.5, box.title, TITLE_SIZE, INK, 'text-anchor="middle" font-weight="600"')
        if box.shape:
            yield _text(box.width / 2, TITLE_HEIGHT + 11, box.shape, TEXT_SIZE, MUTED, 'text-anchor="middle"')
        yield "</g>"
        return
    if box.height > TITLE_HEIGHT:
        yield f'<rect {size} rx="7" fill="#ffffff" stroke="{BORDER}"/>'
        yield (
            f'<path fill="{box.colour}" d="M0 {_n(TITLE_HEIGHT)}V7a7 7 0 0 1 7 -7H{_n(box.width - 7)}'
            f'a7 7 0 0 1 7 7V{_n(TITLE_HEIGHT)}z"/>'
        )
    else:
        yield f'<rect {size} rx="7" fill="{box.colour}"/>'
    yield _text(PADDING, 17.5, box.title, TITLE_SIZE, "#ffffff", 'font-weight="600"')
    yield _text(right, 17.5, box.name, TEXT_SIZE, "#ffffff", 'text-anchor="end" fill-opacity="0.85"')
    y = TITLE_HEIGHT + 4 + 12
    for line in box.lines:
        yield _text(PADDING, y, line, TEXT_SIZE, INK)
        y += LINE_HEIGHT
    if box.shape:
        yield _text(PADDING, y, box.shape, TEXT_SIZE, box.colour, 'font-weight="600"')
    if box.remark:
        yield _text(right, y, box.remark, TEXT_SIZE, MUTED, 'text-anchor="end"')
    yield "</g>"


def _text(x: float, y: float, text: str, size: float, fill: str, more: str = "") -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{fill}" {more}>{escape(text)}</text>'


def _text_of(text: str) -> str:
    """The text without the characters that XML does not admit."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _n(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
