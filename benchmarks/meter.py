"""How is work in another process measured? It gets ready, waits for the word, works, and says what that cost.

CPU is user and system time of the process, all threads, from the word to the end: the start of the interpreter,
imports, the opening of the workspace and the warm-up stand before the word and are not counted.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_HERE = Path(__file__).parent.parent


class RunFailed(Exception):
    """A measured process ended with an error, or the figures don't add up."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What some work cost; moments are on the machine's own clock, the same for all processes."""

    cpu: float  # seconds
    began: float
    ended: float
    peak_kb: int  # largest resident size of the process
    places: dict[str, int] = field(default_factory=dict)  # where its time went, when it was watched

    @property
    def seconds(self) -> float:
        """From the first second to the last."""
        return self.ended - self.began


def at_the_word(work: Callable[[], dict[str, int] | None]) -> None:
    """In the measured process: say that we are ready, wait, work, and tell the cost."""
    print("ready", flush=True)
    sys.stdin.readline()
    began, before = time.monotonic(), _cpu()
    places = work() or {}
    spent, ended = _cpu() - before, time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(asdict(Cost(cpu=spent, began=began, ended=ended, peak_kb=peak, places=places))), flush=True)


def run_together(*commands: Sequence[object]) -> Cost:
    """Run `python -m benchmarks.COMMAND[0] ...` for each, start them at one word; gives what they cost in all."""
    running = [_started([str(word) for word in command]) for command in commands]
    try:
        for one in running:
            _expect(one, "ready")
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return _sum([_told(one) for one in running])
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
            one.communicate()


def run_foreign(command: Sequence[str]) -> Cost:
    """Run a foreign program from its start to its end."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RunFailed(f"{' '.join(command)} ended with {process.returncode}")
    cpu = used.ru_utime + used.ru_stime
    return Cost(cpu=cpu, began=began, ended=time.monotonic(), peak_kb=used.ru_maxrss)


def _started(words: list[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:]]
    return subprocess.Popen(command, cwd=_HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _expect(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    if (said := process.stdout.readline()) != f"{word}\n":
        raise RunFailed(f"{process.args!r} said {said!r} where {word!r} was expected")


def _told(process: "subprocess.Popen[str]") -> Cost:
    assert process.stdout is not None
    said = process.stdout.readline()
    if process.wait() or not said:
        raise RunFailed(f"{process.args!r} ended with {process.returncode}")
    return Cost(**json.loads(said))


def _sum(costs: list[Cost]) -> Cost:
    places: dict[str, int] = {}
    for one in costs:
        for place, times in one.places.items():
            places[place] = places.get(place, 0) + times
    return Cost(
        cpu=sum(one.cpu for one in costs),
        began=min(one.began for one in costs),
        ended=max(one.ended for one in costs),
        peak_kb=max(one.peak_kb for one in costs),
        places=places,
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
