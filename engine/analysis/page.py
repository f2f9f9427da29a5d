"""What does the report look like? One self-contained page: figures, intervals as a picture, checks, in plain words."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from engine.analysis.attribution import HOLDOUT
from engine.analysis.comparing import Comparison
from engine.analysis.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _QUIET, _ACCENT, _HOLDOUT_COLOUR = "#1f2933", "#7b8794", "#1f5f4a", "#9a7b4f"
_METRICS = {"conversion": "Reached the goal", "revenue": "Revenue a contact", "profit": "Profit a contact"}


def to_html(found: Results, money: Callable[[float], str], simulated: str = "") -> str:
    """The page as text; `money` words an amount in the shop's way; `simulated` is told in a banner unless empty."""
    folder = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(money=money, share=_share, points=_points, says=_says)
    environment.filters["round_money"] = lambda amount: re.sub(r"[.,]\d\d(?!\d)", "", money(float(round(amount))))
    environment.filters["metric"] = lambda name: _METRICS.get(name, name)
    return environment.get_template("report.html").render(
        found=found,
        simulated=simulated,
        holdout_name=HOLDOUT,
        reached=_svg(_reached(found)) if found.arms else "",
        between=_intervals(found.comparison),
        against=_intervals(found.against_holdout),
    )


def _share(value: float) -> str:
    return f"{value * 100:.1f} %"


def _points(value: float) -> str:
    return f"{value * 100:+.1f} points"


def _says(one: Comparison) -> str:
    if one.decision == "interim":
        return "too early"
    return {"b_higher": f"{one.b} is higher", "a_higher": f"{one.a} is higher"}.get(one.decision, "could be chance")


def _reached(found: Results) -> "Figure":
    """The share of each arm that reached the goal, the holdout in its own colour."""
    arms = list(found.arms)
    figure = _figure(0.5 * len(arms) + 0.9)
    axes = figure.subplots()
    rates = [sum(arm.converted) / arm.assigned * 100 if arm.assigned else 0.0 for arm in arms]
    colours = [_HOLDOUT_COLOUR if arm.name == HOLDOUT else _ACCENT for arm in arms]
    bars = axes.barh([arm.name for arm in arms], rates, color=colours, height=0.6)
    axes.bar_label(bars, labels=[f"{rate:.1f} %" for rate in rates], padding=4, color=_INK)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*rates, 1.0]) * 1.18)
    axes.set_xlabel("share of everybody assigned who reached the goal (%)", color=_QUIET)
    _quieten(axes)
    return figure


def _intervals(comparisons: Sequence[Comparison]) -> Markup:
    """Each difference with its 95 % interval, relative to the first arm; a bar across zero means: could be chance."""
    shown = [c for c in comparisons if c.value_a]  # a share of nothing can't be drawn
    if not shown:
        return Markup("")
    figure = _figure(0.55 * max(len(shown), 1) + 0.9)
    axes = figure.subplots()
    for row, one in enumerate(shown):
        scale = 100 / abs(one.value_a)
        clear = one.low > 0 or one.high < 0
        axes.plot([one.low * scale, one.high * scale], [row, row], color=_ACCENT if clear else _QUIET, linewidth=3)
        axes.plot(one.difference * scale, row, "o", color=_ACCENT if clear else _QUIET, markersize=8)
    axes.axvline(0, color=_INK, linewidth=1)
    several = len({(c.a, c.b) for c in shown}) > 1
    names = [_METRICS.get(c.metric, c.metric) + (f"\n{c.a} → {c.b}" if several else "") for c in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("difference in %, with its 95 % interval", color=_QUIET)
    _quieten(axes)
    return _svg(figure)


def _figure(height: float) -> "Figure":
    # Half a second of import that only this page needs.
    from matplotlib.figure import Figure

    return Figure(figsize=(4.8, height), layout="constrained")


def _quieten(axes: "Axes") -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d0d5da")
    axes.tick_params(colors=_INK, length=0)


def _svg(figure: "Figure") -> Markup:
    """The picture as SVG whose words stay text: readable aloud, and set in the reader's own fonts."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    # A fixed salt and no date make the same report the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "mailer", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), flags=re.DOTALL)
    return Markup(re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL))
