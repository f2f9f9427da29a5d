"""`mailer journey simulate`: the coming weeks in virtual time, without a mail."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import locale
from engine.cli.journeys import journeys
from engine.cli.opening import moment, workspace
from engine.cli.printing import AtOption, FormatOption, a_table, progress_of, say, show_one, stdout
from engine.errors import Usage


@journeys.command()
def simulate(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[JOURNEY]...", help="Only these, published or not; default: all that run."),
    ] = None,
    days: Annotated[int, typer.Option("--days", metavar="N", help="How far to look ahead.")] = 90,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Other chance; the same seed tells the same.")] = 1,
    all_files: Annotated[
        bool, typer.Option("--all-files", help="Every journey and repeating campaign that has a file.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page to look at there.")
    ] = None,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """What would the coming weeks bring? All that runs, in virtual time over the real base; nobody is mailed.

    Mails a person and week, caps, volume, ways that nobody takes, people who are stuck, and simulated revenue.
    """
    if html is not None and not html.absolute().parent.is_dir():
        raise Usage(f"the folder of {html} does not exist; make it first, or choose another")
    # A third of a second of numpy and scipy, which no other command should pay.
    from engine.journeys import simulating

    with workspace(context, at) as mailer:
        with progress_of("simulating") as progress:
            found = simulating.simulate(
                mailer,
                moment(mailer, at),
                days=days,
                seed=seed,
                names=names or (),
                all_files=all_files,
                progress=progress,
            )
        currency, shop = mailer.currency, mailer.settings.shop.name

    def money(amount: float) -> str:
        return locale.money(amount, currency, "en")

    if html is not None:
        html.write_text(simulating.to_html(found, shop, money), encoding="utf-8")
        say(f"written: {html}")
    show_one(found.data, form, lambda: _print(found.data, money))


def _print(data: Mapping[str, Any], money: Any) -> None:
    """The forecast for a terminal."""
    sent, caps, revenue = data["messages"], data["caps"], data["revenue"]
    lines = [
        f"Simulated: {data['days']} days from {data['at'][:10]}, seed {data['seed']}. Nobody was mailed.",
        f"{sent['total']:,} mails to {sent['people']:,} of {data['mailable']:,} people who may be mailed; "
        f"{sent['per_person_week']['mean']:.2f} a person and week, {sent['per_person_week']['most']} at most",
        f"{caps['messages']:,} mails met a cap: {caps['sent_later']:,} went later, {caps['expired']:,} expired, "
        f"{caps['still_waiting']:,} still wait",
    ]
    for name, load in data["volume"].items():
        limit = f" of {load['peak_hour']['limit']:,}" if load["peak_hour"]["limit"] else ""
        daily = f" of {load['peak_day']['limit']:,}" if load["peak_day"]["limit"] else ""
        lines.append(
            f"{name}: {load['peak_hour']['messages']:,}{limit} in its fullest hour, "
            f"{load['peak_day']['messages']:,}{daily} on its fullest day"
        )
    for line in lines:
        stdout.print(line, markup=False)
    columns = ("journey", "come in", "mails", "goal", "inside at the end", "stuck", "dead ways", "brings")
    rows = [
        (
            one["name"],
            f"{one['entered']:,}",
            f"{one['messages']:,}",
            f"{one['ended'].get('goal', 0):,}",
            f"{sum(one['inside_at_the_end'].values()):,}",
            f"{one['stuck']['people']:,}",
            f"{len(one['dead']):,}",
            money(revenue["by_name"][one["name"]]["expected"]),
        )
        for one in data["journeys"]
    ]
    if rows:
        stdout.print(a_table(columns, rows))
    total = revenue["of_journeys"]
    stdout.print(
        f"journeys bring {money(total['expected'])} (95 %: {money(total['low'])} to {money(total['high'])})",
        markup=False,
    )
    for sentence in data["assumptions"]:
        stdout.print(f"! {sentence}", markup=False)
