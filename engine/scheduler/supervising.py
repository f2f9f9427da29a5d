"""Who starts everybody, and in which order does everybody end?"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from engine import pipeline
from engine.scheduler import notifying
from engine.scheduler.children import Child, end_all
from engine.scheduler.rounds import Rounds, started

_LOOK_SECONDS = 0.2

log = logging.getLogger("mailer.run")


def supervise(
    folder: Path, options: Sequence[str] = (), senders: int | None = None, tell: Sequence[pipeline.Step] = ()
) -> None:
    """Run web, senders and tick until SIGINT or SIGTERM, then end them in order; asked twice, nobody waits.

    `options` are handed to every child: how it logs. `senders`: how many; None: the most connections of a transport.
    `tell` are steps that end each tick, whose work others may be waiting for.
    """
    with pipeline.stop_on_signals() as stop:
        mailer = pipeline.open_mailer(folder)

        def child(name: str, command: str, *, once: bool = False) -> Child:
            return Child(name=name, command=command, folder=folder, options=options, once=once, wanted=not once)

        if senders is None:
            senders = max(one.connections for one in mailer.settings.transport.values())
        night, bounces = child("night", "night", once=True), child("bounces", "returns", once=True)
        lasting = [child("web", "serve"), *(child(f"sender-{n}", "worker") for n in range(1, senders + 1))]
        children = [*lasting, night, bounces]
        rounds = Rounds(mailer, night, bounces, lasting, tell)
        clock = started(rounds)
        log.info("run_started web=%s senders=%s", mailer.settings.web.listen, senders)
        notifying.notify("READY=1")
        try:
            while not stop.asked:
                for one in children:
                    one.look_after()
                stop.rest(_LOOK_SECONDS)
        finally:
            began = time.monotonic()
            notifying.notify("STOPPING=1")
            log.info("run_stopping")
            clock.shutdown(wait=False)
            end_all(children, stop)
            log.info("children_ended seconds=%.1f", time.monotonic() - began)
            rounds.end()
            log.info("run_stopped")
