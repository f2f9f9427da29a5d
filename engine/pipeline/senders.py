"""How do several senders work side by side? One process a connection; signals reach them through their parent alone."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from multiprocessing.context import SpawnProcess
from pathlib import Path

from engine import ledger
from engine.clock import clock_set_to, system_clock
from engine.errors import MailerError, TransportUnavailable
from engine.pipeline.composing import transport_settings
from engine.pipeline.sending import send_due
from engine.pipeline.stopping import Stop
from engine.pipeline.workspace import Mailer, open_mailer

_LOOK_SECONDS = 0.1  # between two looks at the senders
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def run_senders(mailer: Mailer, plan_id: int, stop: Stop, noticed: Callable[[], None]) -> None:
    """Send what is due of this plan; `noticed` is called again and again meanwhile.

    Raises TransportUnavailable when no mail gets through, or a sender died.
    """
    plan = ledger.plan_of(mailer.store, plan_id)
    connections = transport_settings(mailer, plan.definition["transport"])[1].connections
    if connections == 1:
        send_due(mailer, stop, plan_id, noticed)
        return
    spawn = multiprocessing.get_context("spawn")
    faults: multiprocessing.Queue[str] = spawn.Queue()
    at = None if mailer.clock is system_clock else mailer.clock()
    senders = [spawn.Process(target=_sender, args=(mailer.folder, plan_id, at, faults)) for _ in range(connections)]
    _start(senders)
    _watch(senders, stop, noticed)
    if not faults.empty():
        raise TransportUnavailable(faults.get())
    died = [one.exitcode for one in senders if one.exitcode]
    if died and not stop.asked:
        raise TransportUnavailable(f"{len(died)} of {connections} senders died (exit code {died[0]})")


def _start(senders: "list[SpawnProcess]") -> None:
    """They are born deaf, and listen once they know what to do: no signal is lost, none kills one that is loading."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        for one in senders:
            one.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(senders: "list[SpawnProcess]", stop: Stop, noticed: Callable[[], None]) -> None:
    """Until all have ended. Ctrl-C reaches everybody, SIGTERM only us: the senders hear of both from here alone."""
    told = 0
    while any(one.is_alive() for one in senders):
        time.sleep(_LOOK_SECONDS)
        noticed()
        while told < stop.times:
            told += 1
            for one in senders:
                if one.is_alive():
                    one.terminate()


def _sender(folder: Path, plan_id: int, at: datetime | None, faults: "multiprocessing.Queue[str]") -> None:
    """The body of a sender process: Ctrl-C is left to the parent, who passes it on once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    _end_with_parent()
    mailer = open_mailer(folder)
    try:
        send_due(replace(mailer, clock=clock_set_to(at)) if at else mailer, stop, plan_id)
    except MailerError as fault:
        faults.put(str(fault))
    finally:
        mailer.store.close()


def _end_with_parent() -> None:
    """End in order when the command is gone, by `kill -9` too: nobody would hear a Ctrl-C for us any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a sender is spawned by the command"

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()
