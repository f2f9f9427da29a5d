"""How far is each promise kept? One bar a row, on one scale: times better than it must be."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Row

_COLOURS = {"aim": "#2a7f62", "must": "#5b8ff9", "missed": "#d1495b"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the plot; rows that were not measured are left out."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    measured = [row for row in rows if row.value is not None][::-1]
    plt.rcParams["svg.hashsalt"] = "benchmarks"  # the same picture has the same bytes
    figure, axes = plt.subplots(figsize=(10, 0.7 * len(measured) + 1.4), layout="constrained")
    for place, row in enumerate(measured):
        axes.barh(place, row.times_the_must, height=0.55, color=_COLOURS[row.verdict])
        axes.plot([row.aim_in_musts] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2)
        axes.annotate(f" {row.times_the_must:.2f}", (row.times_the_must, place), va="center")
    axes.axvline(1, color="#888888", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(measured)), [row.what for row in measured])
    axes.set_xlabel("times better than it must be (dashed: must, black: aim)")
    axes.set_xlim(0, 1.15 * max([1.2, *(max(row.times_the_must, row.aim_in_musts) for row in measured)]))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
