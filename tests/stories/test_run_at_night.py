"""The first run makes up for the night at once, in a process of its own: it may take as long as it likes."""

import os
import signal
from pathlib import Path

import sqlalchemy as sa
from running_shop import running, until
from sink import Sink
from story_shop import Shop

from engine import pipeline
from engine.pipeline import Mailer
from engine.store.tables import process, release


def test_a_night_that_takes_long_keeps_no_tick_waiting(sqlite_shop: Shop, sink: Sink, tmp_path: Path) -> None:
    plan = sqlite_shop.released("few")
    mailer = sqlite_shop.open()
    with running(sqlite_shop, tmp_path, sink.port, night=True) as run:
        run.start()
        os.kill(run.child("night"), signal.SIGSTOP)
        until(lambda: len(sink.taken) == 25, "nothing goes out at night")
        began = seen(mailer)
        with mailer.store.write() as db:  # as a kill between the last chunk and the flip leaves it
            db.execute(sa.update(release).where(release.c.plan_id == plan).values(ready=False))

        until(lambda: is_ready(mailer, plan), "the tick completes no release")
        until(lambda: seen(mailer) > began, "the parent beats no more")
        assert pipeline.night_is_due(mailer, mailer.clock())

        os.kill(run.child("night"), signal.SIGCONT)
        until(lambda: not pipeline.night_is_due(mailer, mailer.clock()), "the night's work is not done")
        until(lambda: "child_ended name=night" in run.said(), "the night does not end")
        run.signal(signal.SIGTERM)
        assert 0 == run.wait()


def seen(mailer: Mailer) -> float:
    with mailer.store.read() as db:
        return float(db.scalar(sa.select(process.c.seen).where(process.c.kind == "run")) or 0)


def is_ready(mailer: Mailer, plan: int) -> bool:
    with mailer.store.read() as db:
        return bool(db.scalar(sa.select(release.c.ready).where(release.c.plan_id == plan)))
