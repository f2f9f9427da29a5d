"""`mailer run`, `status`, `worker`, `serve`: the processes that keep a shop's mail going."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from engine import fleet, pipeline
from engine.cli.app import app
from engine.cli.logs import Form, Level, log_events
from engine.cli.opening import folder_of, moment, workspace
from engine.cli.printing import AtOption, FormatOption, show_one, stderr, stdout
from engine.errors import Unfinished

_COUNTS = ("sent", "waiting", "refused", "deferred", "skipped", "uncertain")

SupervisedOption = Annotated[bool, typer.Option("--supervised", hidden=True, help="Started by `mailer run`.")]
LogOption = Annotated[
    Form, typer.Option("--log", case_sensitive=False, help="How events are written to stderr: text, or json.")
]
LevelOption = Annotated[
    Level, typer.Option("--log-level", case_sensitive=False, help="The least grave events that are written.")
]


SendersOption = Annotated[
    int | None,
    typer.Option("--senders", min=0, max=64, metavar="N", help="How many; default: the most `connections` there are."),
]


@app.command()
def run(
    context: typer.Context,
    senders: SendersOption = None,
    log: LogOption = Form.TEXT,
    log_level: LevelOption = Level.INFO,
) -> None:
    """Keep everything going: tracking pages, the clock and the senders. Stop and start it at any moment.

    Sends only what was released, at its hour; refreshes profiles and recommendations at night (and at the first start).
    """
    # APScheduler and a web server: no other command should wait for them to load.
    from engine import scheduler

    folder = folder_of(context)
    log_events(log, log_level)
    with workspace(context) as mailer:
        listen = mailer.settings.web.listen
    if log is Form.TEXT:
        who = "clock" if senders == 0 else "senders and clock"
        stderr.print(f"running: tracking pages on http://{listen}, {who}; Ctrl-C stops", soft_wrap=True)
    scheduler.supervise(folder, ("--log", log.value, "--log-level", log_level.value), senders, (fleet.hint_ready,))


@app.command()
def serve(
    context: typer.Context,
    supervised: SupervisedOption = False,
    log: LogOption = Form.TEXT,
    log_level: LevelOption = Level.INFO,
) -> None:
    """Serve only the tracking pages."""
    from engine import web  # late, as in `run`

    _begin(supervised, log, log_level)
    with workspace(context) as mailer:
        web.serve(mailer)


@app.command()
def worker(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")] = False,
    supervised: SupervisedOption = False,
    log: LogOption = Form.TEXT,
    log_level: LevelOption = Level.INFO,
) -> None:
    """Run one more sender, on this machine or, on PostgreSQL, on any other. Stop and start it at any moment."""
    _begin(supervised, log, log_level)
    with workspace(context) as mailer, pipeline.stop_on_signals() as stop:
        if once:
            pipeline.send_due(mailer, stop)
        else:
            fleet.run_worker(mailer, stop)


@app.command(hidden=True)
def night(
    context: typer.Context,
    supervised: SupervisedOption = False,
    log: LogOption = Form.TEXT,
    log_level: LevelOption = Level.INFO,
) -> None:
    """Do the night's work, if it is due: `mailer run` starts this."""
    _begin(supervised, log, log_level)
    with workspace(context) as mailer:
        pipeline.night(mailer, mailer.clock())


@app.command(hidden=True)
def returns(
    context: typer.Context,
    supervised: SupervisedOption = False,
    log: LogOption = Form.TEXT,
    log_level: LevelOption = Level.INFO,
) -> None:
    """Read the bounce mailbox once: `mailer run` starts this again and again."""
    _begin(supervised, log, log_level)
    with workspace(context) as mailer:
        pipeline.fetch_bounces(mailer, mailer.clock(), lambda _done, _total: None)


@app.command()
def status(context: typer.Context, at: AtOption = None, form: FormatOption = None) -> None:
    """What runs, what waits and why, what comes next. Exit 5 when something is late, paused by itself or stuck."""
    with workspace(context, at) as mailer:
        found = pipeline.status(mailer, moment(mailer, at))

    show_one(found, form, lambda: _tell(found, mailer.zone))
    if found["worries"]:
        raise Unfinished("; ".join(found["worries"]))


def _tell(found: Mapping[str, Any], zone: ZoneInfo) -> None:
    """What runs, what waits and why, what comes next; then what somebody should look at. Hours are the shop's."""
    stdout.print(f"processes: {', '.join(f'{n} {kind}' for kind, n in found['processes'].items()) or 'none'}")
    for one in found["campaigns"]:
        counts = ", ".join(f"{one[key]} {key}" for key in _COUNTS if one[key] or key in ("sent", "waiting"))
        stdout.print(f"  {one['campaign']}: {_standing(one)}; {counts}", markup=False)
    for one in found["journeys"]:
        stdout.print(f"  journey {one['journey']}: {_standing(one)}; {one['inside']} inside", markup=False)
    stdout.print(f"next due: {_hour(found['next_due'], zone) if found['next_due'] else 'nothing'}")
    for one in found["next"]:
        stdout.print(f"  {_hour(one['at'], zone)} {one['what']} {one['name']}".rstrip(), markup=False)
    for line in found["held_up"]:
        stdout.print(line, markup=False)
    for one in found["missed"]:
        stdout.print(
            f"[yellow]missed:[/yellow] {escape(one['name'])} {escape(one['occurrence'])}: {escape(one['why'])}"
        )
    for line in found["troubles"]:
        stdout.print(f"[yellow]trouble:[/yellow] {escape(line)}")
    for line in found["worries"]:
        stdout.print(f"[yellow]![/yellow] {escape(line)}")
    for one in found["alerts"]:
        when = f"told {_hour(one['told_at'], zone)}" if one["told_at"] else "not told yet"
        stdout.print(f"[yellow]alert:[/yellow] {escape(one['cause'])}, {when}")


def _hour(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def _standing(one: Mapping[str, Any]) -> str:
    return f"{one['state']} ({one['reason']})" if one["reason"] else str(one["state"])


def _begin(supervised: bool, log: Form, level: Level) -> None:
    log_events(log, level)
    if supervised:
        from engine import scheduler  # late, as in `run`

        scheduler.end_with_parent()
