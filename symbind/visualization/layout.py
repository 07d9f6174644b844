"""Where the boxes of a drawing go: layered layout of a directed acyclic graph.

The method is the one of Sugiyama, Tagawa and Toda (1981): put every node on a layer below its inputs, let edges that
pass a layer occupy a place in it, order each layer so that few edges cross, and choose coordinates at last. All steps
are loops over lists, so the depth of the graph does not matter.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from statistics import median

__all__ = ["Layout", "Place", "layered_layout"]

# Drawings of ordinary size get the most sweeps; those of huge graphs are to be ready in seconds.
MOST_SWEEPS, FEWEST_SWEEPS = 12, 2
PLACES_SWEPT = 200_000
# Up to this many places per node are made for edges passing by; the longest edges beyond that cross boxes.
PASSING_PLACES_PER_NODE = 4
PASSING_PLACES_AT_LEAST = 2000


@dataclass(slots=True)
class Place:
    """A node, or a point that an edge passes on its way through a layer."""

    layer: int
    width: float
    height: float
    node: int | None
    x: float = 0.0  # of the centre
    y: float = 0.0
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """Places of all nodes (first, in their order) and of the points on edges, joined by ``above`` and ``below``."""

    places: list[Place]
    layer_top: list[float]
    layer_bottom: list[float]
    width: float
    height: float


def layered_layout(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    column_gap: float = 28.0,
    layer_gap: float = 40.0,
) -> Layout:
    """Place boxes so that every edge points downwards.

    Parameters
    ----------
    sizes : (width, height) of each node; nodes are numbered so that edges lead from lower to higher numbers
    edges : (source, target) pairs
    column_gap, layer_gap : free space between neighbours, and between layers
    """
    if not sizes:
        return Layout([], [], [], 0.0, 0.0)
    layer_of = _assign_layers(len(sizes), edges)
    places = [Place(layer, w, h, node) for node, (layer, (w, h)) in enumerate(zip(layer_of, sizes))]
    _connect(places, edges)
    layers: list[list[int]] = [[] for _ in range(1 + max(p.layer for p in places))]
    for i, place in enumerate(places):
        layers[place.layer].append(i)
    sweeps = min(MOST_SWEEPS, max(FEWEST_SWEEPS, PLACES_SWEPT // len(places)))
    _order(places, layers, sweeps)
    _place_columns(places, layers, sweeps, column_gap)
    tops, bottoms = _place_layers(places, layers, layer_gap)
    return Layout(places, tops, bottoms, max(p.x + p.width / 2 for p in places), bottoms[-1])


def _assign_layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Each node right below the lowest of its inputs; nodes without inputs right above the first that uses them."""
    inputs: list[list[int]] = [[] for _ in range(count)]
    users: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        inputs[target].append(source)
        users[source].append(target)
    layer = [0] * count
    for node in range(count):
        layer[node] = max((layer[i] + 1 for i in inputs[node]), default=0)
    for node in range(count):
        if users[node] and not inputs[node]:
            layer[node] = min(layer[u] for u in users[node]) - 1
    return layer


def _connect(places: list[Place], edges: Sequence[tuple[int, int]]) -> None:
    """Link places of neighbouring layers. Long edges pass through places of their own, one in each layer between;
    the edges from one node share them for as long as they go the same way."""
    targets: dict[int, list[int]] = {}
    for source, target in dict.fromkeys(edges):
        targets.setdefault(source, []).append(target)

    def span(source: int, target: int) -> int:
        return places[target].layer - places[source].layer

    spare = max(PASSING_PLACES_AT_LEAST, PASSING_PLACES_PER_NODE * len(places))
    for source in sorted(targets, key=lambda s: max(span(s, t) for t in targets[s])):
        way = [source]
        for target in sorted(targets[source], key=lambda t: places[t].layer):
            length = span(source, target)
            if length - len(way) > spare:
                _link(places, source, target)
                continue
            while len(way) < length:
                spare -= 1
                places.append(Place(places[source].layer + len(way), 0.0, 0.0, None))
                _link(places, way[-1], len(places) - 1)
                way.append(len(places) - 1)
            _link(places, way[length - 1], target)


def _link(places: list[Place], upper: int, lower: int) -> None:
    places[upper].below.append(lower)
    places[lower].above.append(upper)


def _order(places: list[Place], layers: list[list[int]], sweeps: int) -> None:
    """Sort each layer so that few edges cross: by the mean position of the neighbours on the layer above, then below,
    and so on; the best order seen is kept."""
    position = [0] * len(places)

    def number(layer: list[int]) -> None:
        for at, i in enumerate(layer):
            position[i] = at

    for layer in layers:
        number(layer)
    best, fewest = [list(layer) for layer in layers], _crossings(places, layers, position)
    key = [0.0] * len(places)
    for sweep in range(sweeps):
        if fewest == 0:
            break
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            for i in layer:
                neighbours = places[i].above if downwards else places[i].below
                key[i] = sum(position[j] for j in neighbours) / len(neighbours) if neighbours else position[i]
            layer.sort(key=key.__getitem__)
            number(layer)
        crossings = _crossings(places, layers, position)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(places: list[Place], layers: list[list[int]], position: list[int]) -> int:
    """How many pairs of edges cross: those of which one starts further left and ends further right."""
    count = 0
    for layer in layers:
        ends: list[int] = []
        for i in layer:
            below = [position[j] for j in places[i].below]
            count += sum(len(ends) - bisect_right(ends, end) for end in below)
            for end in below:
                insort(ends, end)
    return count


def _place_columns(places: list[Place], layers: list[list[int]], sweeps: int, gap: float) -> None:
    """Horizontal coordinates: neighbours get as close to straight lines as the order of each layer permits."""
    offsets = []  # from the first centre of a layer to each, packed
    for layer in layers:
        packed = [0.0]
        for left, right in pairwise(layer):
            packed.append(packed[-1] + (places[left].width + places[right].width) / 2 + gap)
        offsets.append(packed)
        for i, offset in zip(layer, packed):
            places[i].x = offset - packed[-1] / 2
    for sweep in range(sweeps):
        downwards = sweep % 2 == 1
        for layer, packed in zip(layers, offsets) if downwards else reversed(list(zip(layers, offsets))):
            wanted, weights = [], []
            for i in layer:
                links = _links(places, i, downwards) or _links(places, i, not downwards)
                # Edges passing by give way to boxes.
                weights.append(1 if places[i].node is None else 1 + sum(weight for _, weight in links))
                wanted.append(_weighted_median(links) if links else places[i].x)
            for i, x in zip(layer, _with_gaps(wanted, weights, packed)):
                places[i].x = x
    _straighten(places, layers, gap)
    margin = min(p.x - p.width / 2 for p in places)
    for place in places:
        place.x -= margin


def _straighten(places: list[Place], layers: list[list[int]], gap: float) -> None:
    """Make long edges vertical where everything else leaves a lane free for them."""
    neighbours: dict[int, tuple[int | None, int | None]] = {}
    for layer in layers:
        for left, i, right in zip([None, *layer], layer, [*layer[1:], None]):
            neighbours[i] = (left, right)
    for first, place in enumerate(places):
        if place.node is not None or places[place.above[0]].node is None:
            continue  # not where a long edge begins
        lane = [first]
        while following := [i for i in places[lane[-1]].below if places[i].node is None]:
            lane += following
        lowest, highest = -math.inf, math.inf
        for i in lane:
            left, right = neighbours[i]
            if left is not None:
                lowest = max(lowest, places[left].x + places[left].width / 2 + gap)
            if right is not None:
                highest = min(highest, places[right].x - places[right].width / 2 - gap)
        if lowest <= highest:
            x = min(max(median(places[i].x for i in lane), lowest), highest)
            for i in lane:
                places[i].x = x


def _links(places: list[Place], i: int, upwards: bool) -> list[tuple[float, int]]:
    """Where the neighbours of a place are, and how much it matters to be straight above or below each: most for the
    middle of long edges, which look worst with bends, least for their ends and for what only feeds one node."""
    found = []
    for j in places[i].above if upwards else places[i].below:
        passing = (places[i].node is None) + (places[j].node is None)
        upper = places[j if upwards else i]
        found.append((places[j].x, 8 if passing == 2 else 1 if passing or not upper.above else 4))
    return sorted(found)


def _weighted_median(wishes: list[tuple[float, int]]) -> float:
    """The middle of sorted (value, weight) pairs; halfway between two that share it."""
    half = sum(weight for _, weight in wishes) / 2
    passed = 0
    for at, (x, weight) in enumerate(wishes):
        passed += weight
        if passed == half:
            return (x + wishes[at + 1][0]) / 2
        if passed > half:
            return x
    raise AssertionError("the weights sum up to twice their half")


def _with_gaps(wanted: list[float], weights: list[int], offsets: list[float]) -> list[float]:
    """The coordinates closest to ``wanted`` that keep the order and the distances of ``offsets``.

    The sum of weighted distances becomes least. Unlike the sum of squares, that gives most nodes exactly what they
    want, so that lines are straight or clearly not. Where many coordinates are equally good, as for two nodes that
    want the same place, the middle between the leftmost and the rightmost of them is taken.
    """
    free = [want - offset for want, offset in zip(wanted, offsets)]
    leftmost = _monotone(free, weights)
    rightmost = _monotone([-x for x in reversed(free)], weights[::-1])[::-1]
    return [(left - right) / 2 + offset for left, right, offset in zip(leftmost, rightmost, offsets)]


def _monotone(values: list[float], weights: list[int]) -> list[float]:
    """The non-decreasing sequence with the least :math:`\\sum_i w_i |x_i - v_i|`; the leftmost if there are several.

    Let :math:`f_i(x)` be the least cost of the first i terms with :math:`x_i \\le x`. It is convex, falling and
    piecewise linear; the heap holds the points where its slope changes, and by how much. Adding a term changes the
    slope at :math:`v_i` by twice its weight; what then rises is cut off.
    """
    changes: list[tuple[float, int]] = []
    lowest = []
    for value, weight in zip(values, weights):
        heappush(changes, (-value, 2 * weight))
        rising = weight
        while rising > 0:
            point, change = heappop(changes)
            if change > rising:
                heappush(changes, (point, change - rising))
            rising -= change
        lowest.append(-changes[0][0])
    for i in range(len(lowest) - 2, -1, -1):
        lowest[i] = min(lowest[i], lowest[i + 1])
    return lowest


def _place_layers(places: list[Place], layers: list[list[int]], gap: float) -> tuple[list[float], list[float]]:
    tops, bottoms = [], []
    y = 0.0
    for layer in layers:
        height = max(places[i].height for i in layer)
        for i in layer:
            places[i].y = y + height / 2
        tops.append(y)
        bottoms.append(y + height)
        y += height + gap
    return tops, bottoms
