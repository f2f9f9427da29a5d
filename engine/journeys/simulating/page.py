"""What does a forecast look like? One self-contained page: figures, bars and a week as a picture, light and dark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine.journeys.simulating.forecasting import Forecast

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_REASONS = {
    "no_consent": "no consent",
    "no_address": "no address",
    "opted_out": "opted out meanwhile",
    "goal_reached": "reached the goal meanwhile",
    "capped": "no room before it expires",
    "minor": "younger than 16",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a picture; `share` of the longest."""

    name: str
    value: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One hour of a week."""

    day: str
    hour: int
    value: int
    share: float


def to_html(found: Forecast, shop: str, money: Callable[[float], str]) -> str:
    """The page as text; `money` words an amount in the shop's way."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters.update(
        money=money,
        number=lambda value: f"{value:,}",
        percent=lambda share: f"{share * 100:.1f} %",
        day=lambda text: f"{datetime.fromisoformat(text):%d %B %Y}",
        reason=lambda word: _REASONS.get(word, word.replace("_", " ")),
    )
    data = found.data
    return environment.get_template("page.html").render(
        found=data,
        shop=shop,
        weeks=_bars(data["messages"]["per_person_week"]["person_weeks"]),
        volume=[_load(name, one) for name, one in data["volume"].items()],
        journeys=data["journeys"],
    )


def _bars(values: Mapping[str, int]) -> list[Bar]:
    most = max(values.values(), default=0)
    return [Bar(name=name, value=value, share=value / most if most else 0.0) for name, value in values.items()]


def _load(name: str, one: Mapping[str, Any]) -> dict[str, Any]:
    """A transport's days and its week, ready to be drawn."""
    most = max([*one["by_day"].values(), one["peak_day"]["limit"] or 0, 1])
    days = [Bar(name=day, value=value, share=value / most) for day, value in one["by_day"].items()]
    limit = one["peak_day"]["limit"]
    return {
        "name": name,
        "told": one,
        "days": days,
        "limit": limit / most if limit else None,
        "week": _week(one["by_hour_of_week"]),
    }


def _week(table: Sequence[Sequence[int]]) -> list[Cell]:
    most = max((value for row in table for value in row), default=0) or 1
    return [
        Cell(day=_DAYS[day], hour=hour, value=value, share=value / most)
        for day, row in enumerate(table)
        for hour, value in enumerate(row)
    ]
