"""How far to the side does each box and line of a drawing stand, when the order in each row is given?

What should stand exactly below each other is tied into one block: a box, its label and the next box where there is
only one way, and the whole length of a long line. Blocks are then pulled to the middle of what they hang on, as far as
their neighbours leave room.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_GAP = 14.0  # between two neighbours of a row
_PULLS = 60


@dataclass(slots=True)
class Node:
    """A box, or the place where a line passes a row. `above` and `below` are the numbers of its neighbours."""

    width: float
    height: float
    layer: int
    x: float = 0.0
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    is_thin: bool = False  # of a line
    is_back: bool = False  # of one that closes a ring


def straighten(nodes: Sequence[Node], rows: Sequence[Sequence[int]]) -> None:
    """Set every node's `x`, its middle; neighbours of a row never touch."""
    blocks = _Blocks(nodes, rows)
    blocks.tie()
    blocks.pack()
    for _ in range(_PULLS):
        blocks.pull()


class _Blocks:
    def __init__(self, nodes: Sequence[Node], rows: Sequence[Sequence[int]]) -> None:
        self.nodes = nodes
        self.neighbours = [pair for row in rows for pair in pairwise(row)]
        self.block = list(range(len(nodes)))  # which block a node is tied into
        self.members: dict[int, list[int]] = {n: [n] for n in self.block}
        self.to_the_left: dict[
            int, list[tuple[int, int]]
        ] = {}  # neighbours of a block's nodes, each pair from the left
        self.to_the_right: dict[int, list[tuple[int, int]]] = {}

    def tie(self) -> None:
        """Make blocks of what belongs below each other, unless two blocks would then stand on both sides of a third."""
        pairs = [(n, below) for n, one in enumerate(self.nodes) for below in one.below]
        for upper, lower in sorted(pairs, key=lambda pair: not self._is_long(*pair)):
            if not (self._is_long(upper, lower) or self._is_only(upper, lower)):
                continue
            before, kept = list(self.block), {n: list(some) for n, some in self.members.items()}
            one, other = self.block[upper], self.block[lower]
            if one == other:
                continue
            for node in self.members.pop(other):
                self.block[node] = one
                self.members[one].append(node)
            if self._order() is None:
                self.block, self.members = before, kept

    def pack(self) -> None:
        """As far to the left as possible."""
        place = dict.fromkeys(self.members, 0.0)
        self.to_the_left = {
            block: [pair for pair in self.neighbours if self.block[pair[1]] == block] for block in place
        }
        self.to_the_right = {
            block: [pair for pair in self.neighbours if self.block[pair[0]] == block] for block in place
        }
        for block in self._order() or ():
            for node, right in self.to_the_right[block]:
                beyond = self.block[right]
                place[beyond] = max(place[beyond], place[block] + self._apart(node, right))
        for n, one in enumerate(self.nodes):
            one.x = place[self.block[n]]

    def pull(self) -> None:
        """Each block to where it wants to be: once from the right, once from the left, so that neighbours make room."""
        by_place = sorted(self.members, key=lambda block: self.nodes[block].x)
        for block in (*by_place[::-1], *by_place):
            wanted, (least, most) = self._wanted(block), self._room(block)
            move = min(max(wanted - self.nodes[block].x, least), most)
            for node in self.members[block]:
                self.nodes[node].x += move

    def _wanted(self, block: int) -> float:
        total = weight = 0.0
        for node in self.members[block]:
            one = self.nodes[node]
            for other in (*one.above, *one.below):
                if self.block[other] != block:
                    strength = 0.05 if one.is_back or self.nodes[other].is_back else 1.0
                    total += self.nodes[other].x * strength
                    weight += strength
        return total / weight if weight else self.nodes[block].x

    def _room(self, block: int) -> tuple[float, float]:
        """How far it may move to the left (negative) and to the right."""
        least, most = float("-inf"), float("inf")
        for left, right in self.to_the_right[block]:
            most = min(most, self.nodes[right].x - self.nodes[left].x - self._apart(left, right))
        for left, right in self.to_the_left[block]:
            least = max(least, self.nodes[left].x - self.nodes[right].x + self._apart(left, right))
        return min(least, 0.0), max(most, 0.0)

    def _apart(self, left: int, right: int) -> float:
        return (self.nodes[left].width + self.nodes[right].width) / 2 + _GAP

    def _is_long(self, upper: int, lower: int) -> bool:
        """Two places of one line."""
        return self.nodes[upper].is_thin and self.nodes[lower].is_thin

    def _is_only(self, upper: int, lower: int) -> bool:
        """The only way down, and the only way in; lines that close a ring don't count."""
        one, other = self.nodes[upper], self.nodes[lower]
        if one.is_back or other.is_back:
            return False
        downwards = [n for n in one.below if not self.nodes[n].is_back]
        upwards = [n for n in other.above if not self.nodes[n].is_back]
        return downwards == [lower] and upwards == [upper]

    def _order(self) -> list[int] | None:
        """The blocks from left to right; None: two of them would each stand to the right of the other."""
        after: dict[int, set[int]] = {block: set() for block in self.members}
        waits = dict.fromkeys(self.members, 0)
        for left, right in self.neighbours:
            one, other = self.block[left], self.block[right]
            if one == other:
                return None
            if other not in after[one]:
                after[one].add(other)
                waits[other] += 1
        ready = [block for block, times in waits.items() if not times]
        for block in ready:
            for other in after[block]:
                waits[other] -= 1
                if not waits[other]:
                    ready.append(other)
        return ready if len(ready) == len(self.members) else None
