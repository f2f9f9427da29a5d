"""`mailer run`, `status`, `worker`, `serve`: the processes that keep a shop's mail going."""

import logging
import sys
import time
from typing import Annotated

import typer
from rich.markup import escape

from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import folder_of, moment, workspace
from engine.cli.printing import AtOption, FormatOption, show_one, stderr, stdout
from engine.errors import Unfinished

SupervisedOption = Annotated[bool, typer.Option("--supervised", hidden=True, help="Started by `mailer run`.")]


@app.command()
def run(context: typer.Context) -> None:
    """Keep everything going: tracking pages, the clock and the senders. Stop and start it at any moment.

    Sends only what was released, at its hour; refreshes profiles and recommendations at night (and at the first start).
    """
    # APScheduler and a web server: no other command should wait for them to load.
    from engine import scheduler

    folder = folder_of(context)
    _log_events()
    with workspace(context) as mailer:
        listen = mailer.settings.web.listen
    stderr.print(f"running: tracking pages on http://{listen}, senders and clock; Ctrl-C stops", soft_wrap=True)
    scheduler.supervise(folder)


@app.command()
def serve(context: typer.Context, supervised: SupervisedOption = False) -> None:
    """Serve only the tracking pages."""
    from engine import web  # late, as in `run`

    _begin(supervised)
    with workspace(context) as mailer:
        web.serve(mailer)


@app.command()
def worker(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")] = False,
    supervised: SupervisedOption = False,
) -> None:
    """Run one more sender."""
    _begin(supervised)
    with workspace(context) as mailer, pipeline.stop_on_signals() as stop:
        if once:
            pipeline.send_due(mailer, stop)
        else:
            pipeline.work(mailer, stop)


@app.command(hidden=True)
def night(context: typer.Context, supervised: SupervisedOption = False) -> None:
    """Do the night's work, if it is due: `mailer run` starts this."""
    _begin(supervised)
    with workspace(context) as mailer:
        pipeline.night(mailer, mailer.clock())


@app.command(hidden=True)
def returns(context: typer.Context, supervised: SupervisedOption = False) -> None:
    """Read the bounce mailbox once: `mailer run` starts this again and again."""
    _begin(supervised)
    with workspace(context) as mailer:
        pipeline.fetch_bounces(mailer, mailer.clock(), lambda _done, _total: None)


@app.command()
def status(context: typer.Context, at: AtOption = None, form: FormatOption = None) -> None:
    """What runs, what waits and why, what comes next. Exit 5 when something is late, paused by itself or stuck."""
    with workspace(context, at) as mailer:
        found = pipeline.status(mailer, moment(mailer, at))

    def told() -> None:
        stdout.print(f"processes: {', '.join(f'{n} {kind}' for kind, n in found['processes'].items()) or 'none'}")
        for one in found["campaigns"]:
            why = f" ({one['reason']})" if one["reason"] else ""
            stdout.print(
                f"  {one['campaign']}: {one['state']}{why}; {one['sent']} sent, {one['waiting']} waiting", markup=False
            )
        stdout.print(f"next due: {found['next_due'] or 'nothing'}")
        for line in found["held_up"]:
            stdout.print(line, markup=False)
        for line in found["troubles"]:
            stdout.print(f"[yellow]trouble:[/yellow] {escape(line)}")
        for line in found["worries"]:
            stdout.print(f"[yellow]![/yellow] {escape(line)}")

    show_one(found, form, told)
    if found["worries"]:
        raise Unfinished("; ".join(found["worries"]))


def _begin(supervised: bool) -> None:
    _log_events()
    if supervised:
        from engine import scheduler  # late, as in `run`

        scheduler.end_with_parent()


def _log_events() -> None:
    """One line an event on stderr: UTC, how grave, `event key=value`."""
    handler = logging.StreamHandler(sys.stderr)
    lines = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    lines.converter = time.gmtime
    handler.setFormatter(lines)
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("mailer").setLevel(logging.INFO)
