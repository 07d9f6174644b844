"""Joints: what is joined one behind another is computed side by side in the first place, so that nothing is copied.

An operator that lays its inputs one behind another in memory (rows of all time steps under each other) has nothing to
do if they lie so already. A joint is a stretch of memory for all of them and for the whole. Wholes that overlap share
one: the rows of steps 0 to 62 and those of steps 1 to 63. The values that the parts are computed in the place of are
in the joint too, and so on backwards.

What is found here are proposals. A joint is there as a whole from the birth of its first part on, while parts that
lie on their own come one after the other: the planner decides whether that is worth it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from ..graph.node import Entry, Node
from .allocate import ALIGNMENT

__all__ = ["Joint", "find_joints"]


class Joint:
    """Values by their offsets in a stretch of memory. Values on the same bytes are whole and part, or live in turn."""

    def __init__(self) -> None:
        self.offsets: dict[Entry, int] = {}
        self.size = 0
        #: From where to where somebody writes who is no whole: a part, or the copy of one.
        self.written: list[tuple[int, int]] = []

    def close(self, num_bytes: Callable[[Entry], int]) -> None:
        """All are in: count from the lowest."""
        lowest = min(self.offsets.values())
        self.offsets = {entry: offset - lowest for entry, offset in self.offsets.items()}
        self.size = max(offset + num_bytes(entry) for entry, offset in self.offsets.items())


def find_joints(
    nodes: Sequence[Node],
    joins: Callable[[Node], bool],
    root_of: Callable[[Entry], Entry],
    num_bytes: Callable[[Entry], int],
    movable: Callable[[Entry], bool],
    overwritten: Callable[[Node, int], Collection[Entry]],
) -> list[Joint]:
    """The joints of ``nodes``, given in running order, of which those that ``joins`` is true for could be free.

    ``root_of`` gives the value whose memory another is, ``movable`` says which may lie anywhere, and
    ``overwritten(node, index)`` the values, roots all, in whose place that output could be.
    """
    joint_of: dict[Entry, Joint] = {}
    for node in nodes:
        whole = Entry(node)
        if joins(node) and movable(whole):
            _join(whole, _laid_out(node, root_of, num_bytes, movable), joint_of)
    for node in reversed(nodes if joint_of else ()):
        for index in range(node.num_outputs):
            output = Entry(node, index)
            joint = joint_of.get(output)
            if joint is None:
                continue
            for source in overwritten(node, index):
                if source not in joint_of and movable(source):
                    joint.offsets[source] = joint.offsets[output]
                    joint_of[source] = joint
                    break
    joints = list(dict.fromkeys(joint_of.values()))
    for joint in joints:
        joint.close(num_bytes)
    return joints


class _Part(NamedTuple):
    """An input by where it lies in the output; ``root`` is the value whose memory it is, None if that must stay."""

    root: Entry | None
    begin: int
    end: int


def _laid_out(
    node: Node,
    root_of: Callable[[Entry], Entry],
    num_bytes: Callable[[Entry], int],
    movable: Callable[[Entry], bool],
) -> list[_Part]:
    """The inputs of a node that joins them; one that comes twice cannot be in two places."""
    parts: list[_Part] = []
    known: set[Entry] = set()
    begin = 0
    for entry in node.inputs:
        root, end = root_of(entry), begin + num_bytes(entry)
        fits = begin % ALIGNMENT == 0 and num_bytes(root) == end - begin > 0
        parts.append(_Part(root if fits and root not in known and movable(root) else None, begin, end))
        known.add(root)
        begin = end
    return parts


def _join(whole: Entry, parts: Sequence[_Part], joint_of: dict[Entry, Joint]) -> None:
    """Put ``whole`` and as many of its parts as fit into the joint where most of them are, or into a new one."""
    found = Counter(
        (joint_of[root], joint_of[root].offsets[root] - begin) for root, begin, _ in parts if root in joint_of
    )
    joint, base = found.most_common(1)[0][0] if found else (Joint(), 0)
    there: list[tuple[int, int]] = []
    new: dict[Entry, tuple[int, int]] = {}
    copied: list[tuple[int, int]] = []
    for root, begin, end in parts:
        span = (base + begin, base + end)
        if root in joint.offsets and joint.offsets[root] == span[0]:
            there.append(span)
        elif root is not None and root not in joint_of:
            new[root] = span
        else:
            copied.append(span)
    # What lies between the parts that are there already must be free.
    low, high = base, base + parts[-1].end
    for begin, end in joint.written:
        if begin < high and end > low and not any(b <= begin and end <= e for b, e in there):
            return
    if there or new:
        placed = {whole: base, **{root: begin for root, (begin, _) in new.items()}}
        joint.offsets.update(placed)
        joint.written += [*new.values(), *copied]
        joint_of.update(dict.fromkeys(placed, joint))
