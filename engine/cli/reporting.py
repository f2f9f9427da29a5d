"""`mailer report`, `mailer recommend`: what was earned, and which recommendations deserve trust."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import journeys, locale, pipeline
from engine.analysis import Comparison, Results, to_json
from engine.cli.app import app
from engine.cli.opening import moment, workspace
from engine.cli.printing import AtOption, FormatOption, a_table, say, show_one, show_rows, stderr, stdout
from engine.clock import parse_moment
from engine.errors import Usage
from engine.model import Arm
from engine.pipeline import Mailer

recommend = typer.Typer(no_args_is_help=True, help="Recommendations: two lists, buy again and new for you.")
app.add_typer(recommend, name="recommend")

_OVERVIEW = ("campaign", "occurrence", "plan", "sent", "waiting", "refused", "deferred", "skipped", "uncertain")


@app.command()
def report(
    context: typer.Context,
    campaign: Annotated[
        str | None, typer.Argument(metavar="[CAMPAIGN|JOURNEY[/STEP]]", help="Default: a line for each.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page.")] = None,
    occurrence: Annotated[str | None, typer.Option("--occurrence", help="Default: the latest.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only what was released since.")] = None,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """What a campaign earned: variants, lift against the holdout with 95 % intervals, checks, and a verdict.

    A journey by its name; one of its mails or experiments as JOURNEY/STEP. These go on without end, so their figures
    may be looked at every day: only who is through counts, and the intervals hold at any look.
    """
    with workspace(context, at) as mailer:
        if campaign is None:
            _overview(mailer, since, form)
            return
        if html and not html.absolute().parent.is_dir():
            raise Usage(f"the folder of {html} does not exist; make it first, or choose another")
        found = _found(mailer, campaign, occurrence, moment(mailer, at))
        if html:
            html.write_text(pipeline.report_html(mailer, found), encoding="utf-8")
            say(f"written: {html}")
        show_one(to_json(found), form, lambda: print_report(found))


@recommend.command()
def backtest(
    context: typer.Context,
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The last day a model may see, inclusive.")],
    horizon: Annotated[int, typer.Option("--horizon", metavar="DAYS", help="How far after it is tested.")] = 31,
    form: FormatOption = None,
) -> None:
    """Train on the shop's past, test on what people bought next, beside plain best sellers."""
    with workspace(context) as mailer, stderr.status("training and testing"):
        result = pipeline.backtest(mailer, until, horizon)

    def told() -> None:
        columns = ("method", "hit rate @10", "ndcg @10", "recall @10", "products shown")
        rows = [
            (name, f"{one['hit_rate']:.3f}", f"{one['ndcg']:.3f}", f"{one['recall']:.3f}", f"{one['coverage']:,}")
            for name, one in result["methods"].items()
        ]
        stdout.print(a_table(columns, rows))
        stdout.print(f"chosen: {result['chosen']}", markup=False)

    show_one(result, form, told)


def _found(mailer: Mailer, name: str, occurrence: str | None, at: datetime) -> Results:
    """A campaign stands before a journey of the same name."""
    journey, _, step = name.partition("/")
    if step or (not mailer.has_campaign(name) and journeys.is_journey(mailer, name)):
        return journeys.report(mailer, journey, step or None, at)
    return pipeline.report(mailer, name, occurrence, at)


def print_report(found: Results) -> None:
    """The report for a terminal."""

    def money(amount: float) -> str:
        return locale.money(amount, found.currency, "en")

    stdout.print(f"[bold]{found.campaign}[/bold]: {found.verdict}")
    columns = ("arm", "people", "sent", "opened", "clicked", "goal", "share", f"revenue {found.currency}", "a contact")
    stdout.print(a_table(columns, [_arm_row(arm, money) for arm in found.arms]))
    if found.earned:
        earned = found.earned
        stdout.print("earned beyond what would have come anyway:")
        stdout.print(f"  revenue {_earned(earned.revenue, earned.low, earned.high, money)}")
        if earned.profit is not None and earned.profit_low is not None and earned.profit_high is not None:
            stdout.print(f"  profit  {_earned(earned.profit, earned.profit_low, earned.profit_high, money)}")
    compared = [*found.against_holdout, *found.comparison]
    if compared:
        headings = ("metric", "from", "to", "difference", "95 % interval", "says")
        stdout.print(a_table(headings, [_comparison_row(one, money) for one in compared]))
    for check in found.checks:
        mark = "[green]✓[/green]" if check.ok else "[yellow]![/yellow]"
        stdout.print(f"{mark} {check.message}")


def _earned(guess: float, low: float, high: float, money: Callable[[float], str]) -> str:
    """An interval across zero comes first: a lone best guess would be read as the result."""
    if low <= 0 <= high:
        return f"between {money(low)} and {money(high)}: could be nothing at all (best guess {money(guess)})"
    return f"{money(guess)} (95 %: {money(low)} to {money(high)})"


def _arm_row(arm: Arm, money: Callable[[float], str]) -> tuple[str, ...]:
    revenue, goal = sum(arm.revenue), sum(arm.converted)
    mailed = (f"{arm.sent:,}", f"{arm.human_opens:,}", f"{arm.human_clicks:,}")
    shown = mailed if arm.name != "holdout" else ("-",) * 3
    people = max(arm.assigned, 1)
    return (
        arm.name,
        f"{arm.assigned:,}",
        *shown,
        f"{goal:,}",
        f"{goal / people:.1%}",
        f"{revenue:,.0f}",
        money(revenue / people),
    )


def _comparison_row(one: Comparison, money: Callable[[float], str]) -> tuple[str, ...]:
    def show(value: float) -> str:
        return f"{value:.1%}" if one.metric == "conversion" else money(value)

    says = {"b_higher": f"{one.b} higher", "a_higher": f"{one.a} higher", "interim": "too early"}
    return (
        one.metric,
        f"{one.a} {show(one.value_a)}",
        f"{one.b} {show(one.value_b)}",
        show(one.difference),
        f"{show(one.low)} to {show(one.high)}",
        says.get(one.decision, "could be chance"),
    )


def _overview(mailer: Mailer, since: str | None, form: Any) -> None:
    first = None
    if since:
        first = pipeline.start_of_yesterday(mailer) if since == "yesterday" else parse_moment(since, mailer.zone)
    rows = pipeline.overview(mailer, first)
    if not rows and since:
        raise Usage(f"nothing was released since {since}")
    show_rows(rows, _OVERVIEW, form)
