"""Where every value lives: lifetimes, sharing and offsets, decided once for all runs.

The pass takes the nodes in the order they will run and what the caller keeps (outputs, gradients), and gives every
value a place: the caller's array, or an offset in the arena. Values share a place where operators declare that an
output may overwrite an input, or is the input under another shape, and lie side by side where they are joined later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..graph.node import Entry, Node
from .allocate import Lifetime, allocate, live_bytes_bound
from .joints import Joint, find_joints

__all__ = ["InArena", "Kept", "Place", "Plan", "Step", "Store", "plan_memory"]


#: How many times as many bytes may be live at once if that saves copies.
MORE_FOR_JOINTS = 1.002


@dataclass(frozen=True)
class Kept:
    """A place outside the arena, which the caller owns: a variable's array, an output, a gradient buffer."""

    key: Hashable


@dataclass(frozen=True)
class InArena:
    """A place in the arena."""

    offset: int


Place = Kept | InArena


@dataclass(frozen=True)
class Store:
    """The caller wants the value ``entry`` in its own array ``target``, replaced or added to."""

    entry: Entry
    target: Kept
    accumulate: bool = False


Pairs = Sequence[tuple[int, int]]
Step = Node | Store
"""A node to run, or a copy into the caller's array that no node could be made to write directly."""


@dataclass
class Plan:
    """The result: the steps of both phases, the place of every value, and what it costs."""

    forward: list[Step]
    backward: list[Step]
    places: dict[Entry, Place]
    arena_bytes: int
    #: The largest sum of bytes live at one step: what no plan can do without.
    lower_bound: int
    #: What the arena would be if every value had bytes of its own.
    unshared_bytes: int
    #: Offsets of the scratch memory of the nodes that need some.
    workspaces: dict[Node, int] = field(default_factory=dict)
    buffers: list[Lifetime] = field(default_factory=list)


def plan_memory(
    forward: Sequence[Node],
    backward: Sequence[Node],
    stores: Sequence[Store],
    gradients: Sequence[Store],
    num_bytes: Callable[[Entry], int],
    same_type: Callable[[Entry, Entry], bool],
    inplace_of: Callable[[Node], Pairs] | None = None,
    workspace_of: Callable[[Node], int] = lambda node: 0,
    held: Collection[Node] = (),
    joins: Callable[[Node], bool] = lambda node: False,
) -> Plan:
    """Plan the run of ``forward`` (which must fill ``stores``) and then ``backward`` (which must fill ``gradients``).

    Both node lists are in running order; a variable's place is ``Kept(node)``. Nothing in the forward phase writes to
    a target of ``gradients``: they keep their content until backward runs. ``same_type`` tells whether two values
    could be the same array. ``inplace_of`` overrides what operators declare, and ``workspace_of`` gives the scratch
    bytes of a node. The values of ``held`` nodes, not among the others, are there already, as ``Kept(entry)``. A node
    that ``joins`` is true for lays its inputs one behind another in its only output, and has nothing to do for those
    that lie there already.
    """
    inplace_of = inplace_of or _declared_inplace
    return _Planner(
        forward, backward, stores, gradients, num_bytes, same_type, inplace_of, workspace_of, held, joins
    ).plan()


def _declared_inplace(node: Node) -> Pairs:
    return node.op.inplace_pairs(node.params)


class _Group:
    """Values that share one place: aliases of each other, written over each other in turn, or side by side."""

    __slots__ = ("first", "is_joint", "kept", "last", "size")

    def __init__(self, first: int, size: int, kept: Kept | None = None) -> None:
        self.first = first
        self.last = first
        self.size = size
        self.kept = kept
        self.is_joint = False


class _Spot(NamedTuple):
    """Where in its group a value is."""

    group: _Group
    offset: int = 0


class _Planner:
    def __init__(
        self,
        forward: Sequence[Node],
        backward: Sequence[Node],
        stores: Sequence[Store],
        gradients: Sequence[Store],
        num_bytes: Callable[[Entry], int],
        same_type: Callable[[Entry, Entry], bool],
        inplace_of: Callable[[Node], Pairs],
        workspace_of: Callable[[Node], int],
        held: Collection[Node],
        joins: Callable[[Node], bool],
    ) -> None:
        self.nodes = [node for node in (*forward, *backward) if not node.is_variable]
        self.backward_start = sum(not node.is_variable for node in forward)
        self.stores, self.gradients = stores, gradients
        self.num_bytes, self.same_type = num_bytes, same_type
        self.inplace_of, self.joins = inplace_of, joins
        self.held = set(held)
        self.gradient_targets = {store.target for store in gradients}
        self.scratch = {n: Lifetime(t, t, size) for t, n in enumerate(self.nodes) if (size := workspace_of(n))}
        self.last_use = self._last_uses()
        self.pinned, self.copies = self._choose_direct_writes()

    def plan(self) -> Plan:
        spots = self._place(())
        buffers = self._buffers(spots)
        bound = live_bytes_bound(buffers)
        joints = self._worthwhile(self._joints(), spots, buffers)
        if joints:
            joined = self._place(joints)
            joined_buffers = self._buffers(joined)
            joined_bound = live_bytes_bound(joined_buffers)
            if joined_bound <= MORE_FOR_JOINTS * bound:
                spots, buffers, bound = joined, joined_buffers, joined_bound
        in_arena = _groups_in_arena(spots)
        allocation = allocate(buffers)
        offset_of = dict(zip(map(id, in_arena), allocation.offsets))
        workspaces = dict(zip(self.scratch, allocation.offsets[len(in_arena) :]))
        places: dict[Entry, Place] = {
            entry: group.kept if group.kept is not None else InArena(offset_of[id(group)] + offset)
            for entry, (group, offset) in spots.items()
        }
        unshared = sum(self.num_bytes(Entry(node, i)) for node in self.nodes for i in range(node.num_outputs))
        forward, backward = self._with_copies(self.copies)
        unshared += sum(lifetime.size for lifetime in self.scratch.values())
        return Plan(forward, backward, places, allocation.total, bound, unshared, workspaces, buffers)

    def _buffers(self, spots: Mapping[Entry, _Spot]) -> list[Lifetime]:
        groups = [Lifetime(g.first, g.last, g.size) for g in _groups_in_arena(spots)]
        return [*groups, *self.scratch.values()]

    # ---- values that are joined -------------------------------------------------------------------------------

    def _joints(self) -> list[Joint]:
        if not any(map(self.joins, self.nodes)):
            return []
        step_of = {node: step for step, node in enumerate(self.nodes)}
        last_of_root: dict[Entry, int] = {}
        for entry, step in self.last_use.items():
            root = self._alias_root(entry)
            last_of_root[root] = max(step, last_of_root.get(root, step))

        def overwritten(node: Node, index: int) -> list[Entry]:
            output, roots = Entry(node, index), [self._alias_root(entry) for entry in node.inputs]
            return [
                roots[i]
                for i, o in self.inplace_of(node)
                if o == index
                and last_of_root.get(roots[i]) == step_of[node]
                and roots.count(roots[i]) == 1
                and self.num_bytes(roots[i]) == self.num_bytes(node.inputs[i]) == self.num_bytes(output)
                and self.same_type(node.inputs[i], output)
            ]

        def movable(entry: Entry) -> bool:
            return not self._is_given(entry) and entry not in self.pinned

        return find_joints(self.nodes, self.joins, self._alias_root, self.num_bytes, movable, overwritten)

    def _worthwhile(
        self, joints: Sequence[Joint], spots: Mapping[Entry, _Spot], buffers: Sequence[Lifetime]
    ) -> list[Joint]:
        """Those of ``joints`` that leave the most bytes that are live at once about as few as they are in ``spots``."""
        live = np.zeros(len(self.nodes), dtype=np.int64)
        for first, last, size in buffers if joints else ():
            live[first : last + 1] += size
        chosen: list[Joint] = []
        gone: set[_Group] = set()
        limit = MORE_FOR_JOINTS * live.max(initial=0)
        for joint in joints:
            change = np.zeros_like(live)
            groups = {spots[entry].group for entry in joint.offsets}
            for group in groups - gone:
                if group.kept is None:
                    change[group.first : group.last + 1] -= group.size
            change[min(g.first for g in groups) : max(g.last for g in groups) + 1] += joint.size
            if (live + change).max() <= limit:
                live += change
                gone |= groups
                chosen.append(joint)
        return chosen

    # ---- groups -----------------------------------------------------------------------------------------------

    def _last_uses(self) -> dict[Entry, int]:
        """The last step that reads each value. An input wanted for its shape alone is not read."""
        last: dict[Entry, int] = {}
        for step, node in enumerate(self.nodes):
            unread = node.op.unread_inputs(node.params)
            for i, entry in enumerate(node.inputs):
                if i not in unread:
                    last[entry] = step
        return last

    def _alias_root(self, entry: Entry) -> Entry:
        """The value whose memory ``entry`` is by declaration."""
        while not self._is_given(entry):
            source = next((i for i, o in entry.node.op.alias_pairs(entry.node.params) if o == entry.index), None)
            if source is None:
                break
            entry = entry.node.inputs[source]
        return entry

    def _choose_direct_writes(self) -> tuple[dict[Entry, Kept], list[Store]]:
        """Which values are computed right in the caller's array, and which must be copied or added there.

        A value is computed in place if it is replaced, not added to, is not a variable under another shape, and is
        not already computed in another of the caller's arrays.
        """
        pinned: dict[Entry, Kept] = {}
        copies: list[Store] = []
        for store in (*self.stores, *self.gradients):
            root = self._alias_root(store.entry)
            if store.accumulate or self._is_given(root) or root in pinned:
                copies.append(store)
            else:
                pinned[root] = store.target
        return pinned, copies

    def _place(self, joints: Sequence[Joint]) -> dict[Entry, _Spot]:
        """The group of every value. What is in a joint is placed there, and everything else as comes first."""
        spots: dict[Entry, _Spot] = {}
        homes: dict[Entry, _Spot] = {}
        for joint in joints:
            group = _Group(len(self.nodes), joint.size)
            group.is_joint = True
            group.last = max(self.last_use.get(entry, -1) for entry in joint.offsets)
            homes.update((entry, _Spot(group, offset)) for entry, offset in joint.offsets.items())
        for step, node in enumerate(self.nodes):
            self._place_outputs(step, node, spots, homes)
        return spots

    def _place_outputs(self, step: int, node: Node, spots: dict[Entry, _Spot], homes: Mapping[Entry, _Spot]) -> None:
        for entry in node.inputs:
            if entry not in spots:
                # What no step makes: the caller's variable, or held.
                key = entry.node if entry.node.is_variable else entry
                spots[entry] = _Spot(_Group(-1, self.num_bytes(entry), Kept(key)))
        op, params = node.op, node.params
        aliases = {o: i for i, o in op.alias_pairs(params)}
        inplace: dict[int, list[int]] = {}
        for i, o in self.inplace_of(node):
            inplace.setdefault(o, []).append(i)
        for index in range(node.num_outputs):
            entry = Entry(node, index)
            spot = homes.get(entry)
            if index in aliases:
                spot = spots[node.inputs[aliases[index]]]
            elif spot is None:
                for i in inplace.get(index, ()):
                    if self._may_overwrite(step, node, i, entry, spots):
                        spot = spots[node.inputs[i]]
                        break
                else:
                    spot = _Spot(_Group(step, self.num_bytes(entry)))
            assert spot is not None
            group = spot.group
            if entry in self.pinned:
                group.kept = self.pinned[entry]
            spots[entry] = spot
            group.first = min(group.first, step)
            group.last = max(group.last, self.last_use.get(entry, step))

    def _is_given(self, entry: Entry) -> bool:
        return entry.node.is_variable or entry.node in self.held

    def _may_overwrite(
        self, step: int, node: Node, position: int, output: Entry, spots: Mapping[Entry, _Spot]
    ) -> bool:
        """Whether ``output`` may be written over the input at ``position``: nobody may need the input any more."""
        source = node.inputs[position]
        group = spots[source].group
        if group.kept is not None or group.last > step:
            return False
        # Another operand in the same memory would change under the kernel's hands.
        if sum(spots[other].group is group for other in node.inputs) > 1:
            return False
        if self.num_bytes(source) != self.num_bytes(output) or not self.same_type(source, output):
            return False
        if output not in self.pinned:
            return True
        # A gradient buffer holds the last gradient until backward runs: no forward value may pass through it.
        passes_through = self.pinned[output] in self.gradient_targets and group.first < self.backward_start
        return not (passes_through or group.is_joint)

    def _with_copies(self, copies: Sequence[Store]) -> tuple[list[Step], list[Step]]:
        """The steps of each phase; a copy follows the node that makes its value, before anything can overwrite it."""
        after: dict[Node, list[Store]] = {}
        at_end: dict[bool, list[Store]] = {False: [], True: []}
        for store in copies:
            if self._is_given(store.entry):
                at_end[store.target in self.gradient_targets].append(store)
            else:
                after.setdefault(store.entry.node, []).append(store)
        phases: tuple[list[Step], list[Step]] = ([], [])
        for step, node in enumerate(self.nodes):
            phases[step >= self.backward_start].extend([node, *after.get(node, ())])
        for backward, steps in enumerate(phases):
            steps.extend(at_end[bool(backward)])
        return phases


def _groups_in_arena(spots: Mapping[Entry, _Spot]) -> list[_Group]:
    return list(dict.fromkeys(spot.group for spot in spots.values() if spot.group.kept is None))
