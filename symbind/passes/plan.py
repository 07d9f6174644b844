"""Where every value lives: lifetimes, sharing and offsets, decided once for all runs.

The pass takes the nodes in the order they will run and what the caller keeps (outputs, gradients), and gives every
value a place: the caller's array, or an offset in the arena. Values share a place where operators declare that an
output may overwrite an input, or is the input under another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field

from ..graph.node import Entry, Node
from .allocate import Lifetime, allocate, live_bytes_bound

__all__ = ["InArena", "Kept", "Place", "Plan", "Step", "Store", "plan_memory"]


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
) -> Plan:
    """Plan the run of ``forward`` (which must fill ``stores``) and then ``backward`` (which must fill ``gradients``).

    Both node lists are in running order; a variable's place is ``Kept(node)``. Nothing in the forward phase writes to
    a target of ``gradients``: they keep their content until backward runs. ``same_type`` tells whether two values
    could be the same array. ``inplace_of`` overrides what operators declare, and ``workspace_of`` gives the scratch
    bytes of a node. The values of ``held`` nodes, not among the others, are there already, as ``Kept(entry)``.
    """
    return _Planner(
        forward, backward, stores, gradients, num_bytes, same_type, inplace_of or _declared_inplace, workspace_of, held
    ).plan()


def _declared_inplace(node: Node) -> Pairs:
    return node.op.inplace_pairs(node.params)


class _Group:
    """Values that share one place: aliases of each other, or written over each other in turn."""

    __slots__ = ("first", "kept", "last", "size")

    def __init__(self, first: int, size: int, kept: Kept | None = None) -> None:
        self.first = first
        self.last = first
        self.size = size
        self.kept = kept


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
    ) -> None:
        self.nodes = [node for node in (*forward, *backward) if not node.is_variable]
        self.backward_start = sum(not node.is_variable for node in forward)
        self.stores, self.gradients = stores, gradients
        self.num_bytes, self.same_type = num_bytes, same_type
        self.inplace_of, self.workspace_of = inplace_of, workspace_of
        self.held = set(held)
        self.gradient_targets = {store.target for store in gradients}
        self.group_of: dict[Entry, _Group] = {}
        self.last_use = self._last_uses()

    def plan(self) -> Plan:
        pinned, copies = self._choose_direct_writes()
        for step, node in enumerate(self.nodes):
            self._place_outputs(step, node, pinned)
        groups = list(dict.fromkeys(self.group_of.values()))
        in_arena = [g for g in groups if g.kept is None]
        scratch = {n: Lifetime(t, t, size) for t, n in enumerate(self.nodes) if (size := self.workspace_of(n))}
        buffers = [Lifetime(g.first, g.last, g.size) for g in in_arena] + list(scratch.values())
        allocation = allocate(buffers)
        offset_of = dict(zip(map(id, in_arena), allocation.offsets))
        workspaces = dict(zip(scratch, allocation.offsets[len(in_arena) :]))
        places: dict[Entry, Place] = {
            entry: group.kept if group.kept is not None else InArena(offset_of[id(group)])
            for entry, group in self.group_of.items()
        }
        unshared = sum(self.num_bytes(Entry(node, i)) for node in self.nodes for i in range(node.num_outputs))
        forward, backward = self._with_copies(copies)
        unshared += sum(lifetime.size for lifetime in scratch.values())
        bound = live_bytes_bound(buffers)
        return Plan(forward, backward, places, allocation.total, bound, unshared, workspaces, buffers)

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
        copies = []
        for store in (*self.stores, *self.gradients):
            root = self._alias_root(store.entry)
            if store.accumulate or self._is_given(root) or root in pinned:
                copies.append(store)
            else:
                pinned[root] = store.target
        return pinned, copies

    def _place_outputs(self, step: int, node: Node, pinned: dict[Entry, Kept]) -> None:
        for entry in node.inputs:
            if entry not in self.group_of:
                self._note_given(entry)
        op, params = node.op, node.params
        aliases = {o: i for i, o in op.alias_pairs(params)}
        inplace: dict[int, list[int]] = {}
        for i, o in self.inplace_of(node):
            inplace.setdefault(o, []).append(i)
        for index in range(node.num_outputs):
            entry = Entry(node, index)
            group = None
            if index in aliases:
                group = self.group_of[node.inputs[aliases[index]]]
            else:
                for i in inplace.get(index, ()):
                    if self._may_overwrite(step, node, i, entry, pinned):
                        group = self.group_of[node.inputs[i]]
                        break
            if group is None:
                group = _Group(step, self.num_bytes(entry))
            if entry in pinned:
                group.kept = pinned[entry]
            self.group_of[entry] = group
            group.last = max(group.last, self.last_use.get(entry, step))

    def _is_given(self, entry: Entry) -> bool:
        return entry.node.is_variable or entry.node in self.held

    def _note_given(self, entry: Entry) -> None:
        """A value that no step makes: the caller's variable, or held."""
        key = entry.node if entry.node.is_variable else entry
        self.group_of[entry] = _Group(-1, self.num_bytes(entry), Kept(key))

    def _may_overwrite(self, step: int, node: Node, position: int, output: Entry, pinned: dict[Entry, Kept]) -> bool:
        """Whether ``output`` may be written over the input at ``position``: nobody may need the input any more."""
        source = node.inputs[position]
        group = self.group_of[source]
        if group.kept is not None or group.last > step:
            return False
        # Another operand in the same memory would change under the kernel's hands.
        if sum(self.group_of.get(other) is group for other in node.inputs) > 1:
            return False
        if self.num_bytes(source) != self.num_bytes(output) or not self.same_type(source, output):
            return False
        # A gradient buffer holds the last gradient until backward runs: no forward value may pass through it.
        return not (output in pinned and pinned[output] in self.gradient_targets and group.first < self.backward_start)

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
