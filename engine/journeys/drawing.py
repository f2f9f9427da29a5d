"""What does a journey look like? One SVG, light and dark: its steps from top to bottom, how many went each way.

A way that leads to the end from further up ends where it parts, in a small `end` of its own: the way on stays plain.
The numbers of all ends stand in the last box. A phone shows two steps side by side, four with `width`; beyond that the
page is scrolled.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from engine.journeys.definition import END, Journey, Step
from engine.journeys.laying_out import Box, Layout, Line, Run, Spot, lay_out
from engine.journeys.lettering import broken, is_right_to_left, width_of
from engine.journeys.outline import as_text, ended_said
from engine.journeys.ways import Counts, Way, ways_from
from engine.journeys.wording import event, kind_of, more_of, start_said, way_said, words_of
from engine.model import EnrolmentState

_WIDTHS = (158.0, 132.0, 102.0)  # of a box: the first is the best to read
_INSET = 18
_MARGIN = 12.0
_START = "(start)"  # no step may be called so
_SMALLEST = 0.82  # of its size, before a narrow page is scrolled
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_STYLE = """
.mj{--ink:#1f2933;--quiet:#5b6875;--ground:#fff;--line:#98a3ad;--mail:#e3f0ea;--mail-line:#2f7a5c;--wait:#f3f1ec;
--wait-line:#a39b8b;--way:#fdf3d8;--way-line:#b98a12;--do:#e8eaf6;--do-line:#5965a8;--out:#f7e4de;--out-line:#b4532f;
--end:#e9edf0;--end-line:#71808c;--here:#1f5f4a;--here-ink:#fff;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC","Noto Sans Arabic",sans-serif}
.mj rect.ground{fill:var(--ground)}.mj text{fill:var(--ink);text-anchor:middle}.mj .quiet{fill:var(--quiet)}
.mj .strong{font-weight:600}.mj .box{stroke-width:1.4}.mj .line{fill:none;stroke:var(--line);stroke-width:1.5}
.mj .back{stroke-dasharray:5 4}.mj .head{fill:var(--line)}.mj .here{fill:var(--here)}.mj .here-ink{fill:var(--here-ink)}
.mj .mail{fill:var(--mail);stroke:var(--mail-line)}.mj .wait{fill:var(--wait);stroke:var(--wait-line)}
.mj .branch,.mj .split{fill:var(--way);stroke:var(--way-line)}
.mj .tag,.mj .webhook{fill:var(--do);stroke:var(--do-line)}
.mj .leave{fill:var(--out);stroke:var(--out-line)}.mj .end,.mj .start{fill:var(--end);stroke:var(--end-line)}
@media (prefers-color-scheme:dark){.mj{--ink:#e8ecef;--quiet:#a9b4bd;--ground:#15191d;--line:#6c7882;--mail:#17362b;
--mail-line:#58b08c;--wait:#26282a;--wait-line:#8a857a;--way:#3a2f10;--way-line:#d3a83c;--do:#22263f;--do-line:#8f9ad8;
--out:#3d2118;--out-line:#dd8563;--end:#232a30;--end-line:#8997a3;--here:#7fd1ae;--here-ink:#10241c}}
""".replace("\n", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A line of a box. `look` names classes of the style."""

    said: str
    size: float
    look: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """A box with what stands in it."""

    id: str
    kind: str
    lines: tuple[_Text, ...]
    told: str  # all of it, for whoever points at it
    width: float
    here: int = 0

    @property
    def height(self) -> float:
        return sum(_line_height(line) for line in self.lines) + 13


@dataclass(slots=True)
class _Sketch:
    """Boxes and lines, before they have a place; `wide` are the boxes."""

    wide: float
    cards: list[_Card] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    labels: list[tuple[_Text, ...]] = field(default_factory=list)


def as_svg(journey: Journey, counts: Counts | None = None, *, width: float = 0.0) -> str:
    """The journey as a picture that stands alone or inside a page; without `counts` no numbers.

    With the `width` of a screen in pixels the boxes are made as narrow as it takes, if that is enough.
    """
    sketch, layout = _laid_out(journey, counts, width)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    name = f"journey-{journey.name}"
    size = f"width:100%;max-width:{width:.0f}px;min-width:{width * _SMALLEST:.0f}px;height:auto"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mj" role="img" aria-labelledby="{name}-title {name}-desc" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" style="{size}">',
        f'<title id="{name}-title">{_safe(f"Journey {journey.name}")}</title>',
        f'<desc id="{name}-desc">{_safe(as_text(journey, counts))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{width:.1f}" height="{height:.1f}" rx="8"/>',
        f'<g transform="translate({_MARGIN} {_MARGIN})">',
        *_drawn(sketch, layout),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


# ---------------------------------------------------------------- what is drawn


def _laid_out(journey: Journey, counts: Counts | None, width: float) -> tuple[_Sketch, Layout]:
    for wide in _WIDTHS:
        sketch = _sketched(journey, counts, wide)
        layout = lay_out([Box(id=one.id, width=one.width, height=one.height) for one in sketch.cards], sketch.lines)
        if not width or (layout.width + 2 * _MARGIN) * _SMALLEST <= width:
            break
    return sketch, layout


def _sketched(journey: Journey, counts: Counts | None, wide: float) -> _Sketch:
    sketch = _Sketch(wide=wide)
    said = start_said(journey.start)
    lines = tuple(_wrapped(said, 12, "strong", 4, wide))
    sketch.cards.append(_Card(id=_START, kind="start", lines=lines, told=said, width=wide))
    _join(sketch, _START, journey.first, _numbered(counts.entered if counts else None, ""))
    for step in journey.steps:
        sketch.cards.append(_card(step, counts, wide))
    ways = [(step, way) for step in journey.steps for way in ways_from(journey, step)]
    last = next((way for _, way in reversed(ways) if way.to == END), None)
    for step, way in ways:
        label = _label(step, way, counts)
        if way.to == way.step:
            _end_here(sketch, way.step, f"back to {way.step}", label)
        elif way.to == END and way != last:
            _end_here(sketch, way.step, END, label)
        else:
            _join(sketch, way.step, way.to, label)
    if last:  # a ring that only its goal ends has none
        sketch.cards.append(_end_card(journey, counts, wide))
    return sketch


def _join(sketch: _Sketch, source: str, target: str, label: tuple[_Text, ...]) -> None:
    width = max((width_of(line.said, line.size) for line in label), default=0.0)
    height = sum(_line_height(line) for line in label)
    sketch.lines.append(Line(source=source, target=target, width=width + 8 if label else 0.0, height=height))
    sketch.labels.append(label)


def _end_here(sketch: _Sketch, source: str, said: str, label: tuple[_Text, ...]) -> None:
    """A small box that a way ends in."""
    pill = f"({len(sketch.cards)})"
    text = _Text(said=said, size=11, look="quiet")
    sketch.cards.append(_Card(id=pill, kind="end", lines=(text,), told=said, width=width_of(said, 11) + 22))
    _join(sketch, source, pill, label)


def _card(step: Step, counts: Counts | None, wide: float) -> _Card:
    kind = kind_of(step)
    lines = [*_wrapped(step.id, 10, "quiet", 2, wide), *_wrapped(words_of(step), 12.5, "strong", 3, wide)]
    for more in more_of(step):
        lines += _wrapped(more, 11, "", 3, wide)
    told = "; ".join((f"{step.id}: {words_of(step)}", *more_of(step)))
    here = counts.inside.get(step.id, 0) if counts else 0
    if counts and (goal := counts.ended.get((step.id, EnrolmentState.GOAL), 0)):
        lines += _wrapped(f"{goal:,} reached the goal", 10, "quiet", 2, wide)
    return _Card(id=step.id, kind=kind, lines=tuple(lines), told=told, width=wide, here=here)


def _end_card(journey: Journey, counts: Counts | None, wide: float) -> _Card:
    goal = f"goal: {event(journey.goal)}"
    lines = [_Text(said=END, size=12.5, look="strong"), *_wrapped(goal, 11, "quiet", 2, wide)]
    for one in ended_said(counts.ended).split(", ") if counts else ():
        lines += _wrapped(one, 11, "", 2, wide)
    return _Card(id=END, kind="end", lines=tuple(lines), told=f"{END}, {goal}", width=wide)


def _label(step: Step, way: Way, counts: Counts | None) -> tuple[_Text, ...]:
    said = way_said(step, way)
    if counts is None:
        return _numbered(None, said)
    went, passed = counts.on(way), counts.from_step(way.step)
    share = f"{went / passed:.0%}" if passed and said else ""
    return _numbered(went, said, share)


def _numbered(people: int | None, said: str, share: str = "") -> tuple[_Text, ...]:
    number = "" if people is None else f"{people:,} · {share}" if share else f"{people:,}"
    lines = (_Text(said=said, size=11, look="strong"), _Text(said=number, size=11))
    return tuple(line for line in lines if line.said)


def _wrapped(said: str, size: float, look: str, most: int, wide: float) -> Iterator[_Text]:
    for line in broken(said, size, wide - _INSET, most):
        yield _Text(said=line, size=size, look=look)


# ---------------------------------------------------------------- how it is drawn


def _drawn(sketch: _Sketch, layout: Layout) -> Iterator[str]:
    for run in layout.runs:
        yield from _line(run)
    for run, label in zip(layout.runs, sketch.labels, strict=True):
        if label:
            yield from _label_at(run.label, label)
    for card in sketch.cards:
        yield from _box(card, layout.spots[card.id])


def _line(run: Run) -> Iterator[str]:
    """From its source to its target, bending only between the layers."""
    points = run.points
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        middle = (y + to_y) / 2
        straight = abs(x - to_x) < 0.05
        path += f"V{to_y:.1f}" if straight else f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
    yield f'<path class="line{" back" if run.back else ""}" d="{path}"/>'
    x, y = points[0] if run.back else points[-1]
    up = 7 if run.back else -7
    yield f'<path class="head" d="M{x:.1f} {y:.1f}l-4 {up}h8z"/>'


def _label_at(spot: Spot, label: tuple[_Text, ...]) -> Iterator[str]:
    left, top = spot.x - spot.width / 2, spot.y - spot.height / 2
    size = f'width="{spot.width:.1f}" height="{spot.height:.1f}"'
    yield f'<rect class="ground" x="{left:.1f}" y="{top:.1f}" {size}/>'
    yield from _texts(label, spot.x, top)


def _box(card: _Card, spot: Spot) -> Iterator[str]:
    left, top = spot.x - spot.width / 2, spot.y - spot.height / 2
    round_ = 13 if card.kind in ("end", "start") else 7
    size = f'width="{spot.width:.1f}" height="{spot.height:.1f}" rx="{round_}"'
    yield f'<g class="step" data-step="{_safe(card.id)}"><title>{_safe(card.told)}</title>'
    yield f'<rect class="box {card.kind}" x="{left:.1f}" y="{top:.1f}" {size}/>'
    yield from _texts(card.lines, spot.x, top + 5)
    if card.here:
        said = f"{card.here:,} here"
        wide = width_of(said, 10) + 10
        right = left + spot.width + 6
        yield f'<rect class="here" x="{right - wide:.1f}" y="{top - 8:.1f}" width="{wide:.1f}" height="16" rx="8"/>'
        yield f'<text class="here-ink" font-size="10" x="{right - wide / 2:.1f}" y="{top + 3.5:.1f}">{said}</text>'
    yield "</g>"


def _texts(lines: tuple[_Text, ...], x: float, top: float) -> Iterator[str]:
    for line in lines:
        top += _line_height(line)
        look = f' class="{line.look}"' if line.look else ""
        way = ' direction="rtl"' if is_right_to_left(line.said) else ""
        yield (
            f'<text{look}{way} font-size="{line.size:g}" x="{x:.1f}" y="{top - line.size * 0.32:.1f}">'
            f"{_safe(line.said)}</text>"
        )


def _line_height(line: _Text) -> float:
    return line.size * 1.32


def _safe(text: str) -> str:
    """Text for XML, without signs that it can't hold."""
    return escape(_NOT_XML.sub("\ufffd", text))
