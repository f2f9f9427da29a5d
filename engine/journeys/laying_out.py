"""Where does each box of a drawing stand, and which way does each line run? Layer below layer, with few crossings.

The plan of Sugiyama, Tagawa and Toda (1981): lines that close a ring are turned round, each box stands one layer below
the lowest that leads to it, boxes of a layer are put in the order that crosses least, and pulled to where their lines
run straightest. Labels stand on layers of their own between the boxes, so that nothing ever covers them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.journeys.layering import closing, layers_of
from engine.journeys.straightening import Node, straighten

_SWEEPS = 12
_BETWEEN = 13.0  # from layer to layer
_THIN = 8.0  # a line that only passes a layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Something to be placed."""

    id: str
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """From one box to another, with room for a label."""

    source: str
    target: str
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """The middle of something, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a line runs: from top to bottom by pairs of points between which it is straight. `back`: it closes a ring."""

    points: tuple[tuple[float, float], ...]
    label: Spot
    back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Everything in its place, from (0, 0) on. `runs` are in the order of the lines."""

    spots: Mapping[str, Spot]
    runs: tuple[Run, ...]
    width: float
    height: float


def lay_out(boxes: Sequence[Box], lines: Sequence[Line]) -> Layout:
    """Place the boxes (the first on top) and draw the lines between them; no line leads to where it comes from."""
    return _Drawing(boxes, lines).layout()


class _Drawing:
    def __init__(self, boxes: Sequence[Box], lines: Sequence[Line]) -> None:
        self.boxes, self.lines = boxes, lines
        ids = [box.id for box in boxes]
        self.back = closing(ids, [(line.source, line.target) for line in lines])
        layers = layers_of(ids, [self._downwards(n) for n in range(len(lines))])
        self.nodes = [Node(box.width, box.height, 2 * layers[box.id]) for box in boxes]
        self.number = {box.id: n for n, box in enumerate(boxes)}
        self.chains = [self._chain(n) for n in range(len(lines))]

    def layout(self) -> Layout:
        """Order, straighten, and read off."""
        rows = self._ordered()
        straighten(self.nodes, rows)
        tops, heights = self._rows_down(rows)
        left = min((one.x - one.width / 2 for one in self.nodes), default=0.0)
        for one in self.nodes:
            one.x -= left
        runs = tuple(self._run(n, tops, heights) for n in range(len(self.lines)))
        spots = {box.id: self._spot(n, tops, heights) for n, box in enumerate(self.boxes)}
        width = max((one.x + one.width / 2 for one in self.nodes), default=0.0)
        return Layout(spots=spots, runs=runs, width=width, height=tops[-1] + heights[-1] if tops else 0.0)

    def _downwards(self, n: int) -> tuple[str, str]:
        line = self.lines[n]
        return (line.target, line.source) if n in self.back else (line.source, line.target)

    def _chain(self, n: int) -> list[int]:
        """The nodes of a line from its upper box to its lower one: its label beside its source, thin ones elsewhere."""
        line = self.lines[n]
        upper, lower = (self.number[one] for one in self._downwards(n))
        first, last = self.nodes[upper].layer + 1, self.nodes[lower].layer - 1
        labelled = last if n in self.back else first
        chain = [upper]
        for layer in range(first, last + 1):
            wide = layer == labelled
            width, height = (max(line.width, _THIN), line.height) if wide else (_THIN, 0.0)
            self.nodes.append(Node(width, height, layer, is_thin=True, is_back=n in self.back))
            chain.append(len(self.nodes) - 1)
        chain.append(lower)
        for one, other in pairwise(chain):
            self.nodes[one].below.append(other)
            self.nodes[other].above.append(one)
        return chain

    def _ordered(self) -> list[list[int]]:
        """The rows, each in the order that crosses least of all that were tried."""
        best: list[list[int]] = []
        fewest = -1
        # Where two could change places at no cost, one way may lead on and the other not: both are tried.
        for mirrored, flipping in ((False, False), (False, True), (True, False), (True, True)):
            rows = self._first_rows(mirrored)
            for sweep in range(_SWEEPS):
                crossings = _crossings(rows, self.nodes)
                if fewest < 0 or crossings < fewest:
                    best, fewest = [list(row) for row in rows], crossings
                self._sweep(rows, downwards=sweep % 2 == 0, sign=-1 if flipping and sweep % 4 > 1 else 1)
        return best

    def _first_rows(self, mirrored: bool) -> list[list[int]]:
        """Rows as the lines lead down, the first line to the left (mirrored: to the right)."""
        rows: list[list[int]] = [[] for _ in range(1 + max((one.layer for one in self.nodes), default=-1))]
        seen: set[int] = set()
        for root in range(len(self.boxes)):
            ahead = [root]
            while ahead:
                node = ahead.pop()
                if node not in seen:
                    seen.add(node)
                    rows[self.nodes[node].layer].append(node)
                    below = self.nodes[node].below
                    ahead += below if mirrored else below[::-1]
        return rows

    def _sweep(self, rows: list[list[int]], *, downwards: bool, sign: int) -> None:
        """Put each row in the order of the middles of what it hangs on; `sign` tells who goes first of two alike."""
        place = {node: n for row in rows for n, node in enumerate(row)}
        for row in rows[1:] if downwards else rows[-2::-1]:
            middles = {node: (self._middle(node, place, downwards), sign * place[node]) for node in row}
            row.sort(key=middles.__getitem__)
            place.update({node: n for n, node in enumerate(row)})

    def _middle(self, node: int, place: Mapping[int, int], downwards: bool) -> float:
        near = self.nodes[node].above if downwards else self.nodes[node].below
        return sum(place[one] for one in near) / len(near) if near else float(place[node])

    def _rows_down(self, rows: Sequence[Sequence[int]]) -> tuple[list[float], list[float]]:
        heights = [max((self.nodes[node].height for node in row), default=0.0) for row in rows]
        tops, top = [], 0.0
        for height in heights:
            tops.append(top)
            top += height + _BETWEEN
        return tops, heights

    def _spot(self, node: int, tops: Sequence[float], heights: Sequence[float]) -> Spot:
        one = self.nodes[node]
        y = tops[one.layer] + (one.height if node < len(self.boxes) else heights[one.layer]) / 2
        return Spot(x=one.x, y=y, width=one.width, height=one.height)

    def _run(self, n: int, tops: Sequence[float], heights: Sequence[float]) -> Run:
        chain = self.chains[n]
        upper, lower = self.nodes[chain[0]], self.nodes[chain[-1]]
        points = [(self._port(chain[0], chain[1], below=True), tops[upper.layer] + upper.height)]
        for node in chain[1:-1]:
            x, top = self.nodes[node].x, tops[self.nodes[node].layer]
            points += [(x, top), (x, top + heights[self.nodes[node].layer])]
        points.append((self._port(chain[-1], chain[-2], below=False), tops[lower.layer]))
        label = self._spot(chain[-2] if n in self.back else chain[1], tops, heights)
        return Run(points=tuple(points), label=label, back=n in self.back)

    def _port(self, node: int, neighbour: int, *, below: bool) -> float:
        """Where on its edge a box is left or entered: side by side, in the order of what is beyond."""
        one = self.nodes[node]
        near = sorted(one.below if below else one.above, key=lambda other: self.nodes[other].x)
        step = min(26.0, one.width * 0.7 / len(near))
        return one.x + (near.index(neighbour) - (len(near) - 1) / 2) * step


def _crossings(rows: Sequence[Sequence[int]], nodes: Sequence[Node]) -> int:
    """How many pairs of lines cross."""
    total = 0
    for row, below in pairwise(rows):
        place = {node: n for n, node in enumerate(below)}
        ends = [sorted(place[one] for one in nodes[node].below) for node in row]
        flat = [end for some in ends for end in some]
        total += sum(1 for n, end in enumerate(flat) for other in flat[n + 1 :] if other < end)
    return total
