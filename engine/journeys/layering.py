"""Which box stands above which? Rings are opened first, then each box stands below all that lead to it."""

from collections.abc import Sequence


def closing(ids: Sequence[str], lines: Sequence[tuple[str, str]]) -> set[int]:
    """The lines that close a ring, met on the way down from the first box."""
    out: dict[str, list[int]] = {one: [] for one in ids}
    for n, (source, _) in enumerate(lines):
        out[source].append(n)
    found: set[int] = set()
    done: set[str] = set()
    for root in ids:
        way: list[tuple[str, list[int]]] = [] if root in done else [(root, list(out[root]))]
        inside = {root}
        while way:
            at, left = way[-1]
            if not left:
                way.pop()
                inside.discard(at)
                done.add(at)
                continue
            n = left.pop(0)
            target = lines[n][1]
            if target in inside:
                found.add(n)
            elif target not in done:
                inside.add(target)
                way.append((target, list(out[target])))
    return found


def layers_of(ids: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each box: one below the lowest that leads to it."""
    layers = dict.fromkeys(ids, 0)
    for _ in ids:
        moved = False
        for upper, lower in pairs:
            if layers[lower] <= layers[upper]:
                layers[lower], moved = layers[upper] + 1, True
        if not moved:
            break
    return layers
