"""`mailer import`, `mailer refresh`: people, products, orders and events come in; profiles are brought up to date."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import moment, workspace
from engine.cli.printing import AtOption, Format, FormatOption, chosen, progress_of, show_one, stdout, to_json
from engine.errors import Usage

imports = typer.Typer(
    no_args_is_help=True,
    help="Bring in contacts, products, orders or events: CSV (any delimiter, any encoding), JSONL or Parquet. "
    "Shopify's exports are recognised. Importing a file twice changes nothing; wrong rows are named, the others go in.",
)
app.add_typer(imports, name="import")

FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE...", help="The files.")]
MapOption = Annotated[
    list[str] | None, typer.Option("--map", metavar="THEIRS=OURS", help="Their column is our column.")
]
DatesOption = Annotated[str, typer.Option("--dates", metavar="dmy|mdy|ymd", help="How 01/02/03 is to be read.")]
DecimalOption = Annotated[str, typer.Option("--decimal", metavar="point|comma", help="How 1,50 is to be read.")]

_REFUSED_SHOWN = 10


def _command(kind: str, help_text: str) -> None:
    @imports.command(name=kind, help=help_text)
    def command(
        context: typer.Context,
        files: FilesArgument,
        mapping: MapOption = None,
        dates: DatesOption = "",
        decimal: DecimalOption = "point",
        form: FormatOption = None,
    ) -> None:
        if dates not in ("", "dmy", "mdy", "ymd"):
            raise Usage(f"--dates is dmy, mdy or ymd, not {dates!r}")
        if decimal not in ("point", "comma"):
            raise Usage(f"--decimal is point or comma, not {decimal!r}")
        pairs = _pairs(mapping or [])
        done: list[dict[str, Any]] = []
        try:
            with workspace(context) as mailer:
                for file in files:
                    with progress_of(f"importing {file.name}") as progress:
                        result = pipeline.import_file(mailer, kind, file, pairs, dates, decimal, progress)
                    done.append(_json(kind, file, result))
                    if chosen(form) is not Format.JSON:
                        _show(kind, file, result, form)
        finally:  # also what went in before a file that can't be read
            if done and chosen(form) is Format.JSON:
                print(to_json(done if len(files) > 1 else done[0]))


_command("contacts", "People, with what is known of them and what they agreed to.")
_command("products", "The catalogue: titles, prices, stock, pictures.")
_command("orders", "Orders, one row a line of the basket; unknown addresses become contacts without consent.")
_command("events", "Anything else that happened: visits, baskets left behind, sign-ups.")


@app.command()
def refresh(context: typer.Context, at: AtOption = None, form: FormatOption = None) -> None:
    """Bring profiles, scores and recommendations up to date; touches only contacts for whom something changed."""
    started = time.monotonic()
    with workspace(context, at) as mailer, progress_of("refreshing") as progress:
        touched = pipeline.refresh(mailer, moment(mailer, at), progress)
    show_one({"contacts": touched, "seconds": round(time.monotonic() - started, 2)}, form)


def _pairs(mapping: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in mapping]
    for theirs, equals, ours in pairs:
        if not (theirs and equals and ours):
            raise Usage(f"--map wants THEIRS=OURS, as in --map 'E-Mail Address=email'; got {theirs + equals + ours!r}")
    return {theirs: ours for theirs, _, ours in pairs}


def _json(kind: str, file: Path, result: "pipeline.ImportResult") -> dict[str, Any]:
    refused = [{"line": one.line, "why": one.why} for one in result.refused]
    data = {"file": str(file), "rows": result.rows, "added": result.added, "updated": result.updated}
    if kind == "contacts":
        data |= {"mailable": result.mailable, "trackable": result.trackable}
    return data | {"refused": refused}


def _show(kind: str, file: Path, result: "pipeline.ImportResult", form: Format | None) -> None:
    if chosen(form) is Format.JSONL:
        print(to_json(_json(kind, file, result)))
        return
    refused = result.refused
    stdout.print(f"{file.name}: {result.rows:,} rows, {result.added:,} added, {result.updated:,} updated", markup=False)
    if kind == "contacts":
        stdout.print(f"{result.mailable:,} of them can be mailed, {result.trackable:,} can be followed (opens, clicks)")
    if refused:
        stdout.print(f"[yellow]{len(refused):,} {'row was' if len(refused) == 1 else 'rows were'} refused:[/yellow]")
    for one in refused[:_REFUSED_SHOWN]:
        stdout.print(f"  line {one.line}: {one.why}", markup=False)
    if len(refused) > _REFUSED_SHOWN:
        stdout.print(f"  ... and {len(refused) - _REFUSED_SHOWN:,} more; --format json lists all")
