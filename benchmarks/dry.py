"""A dry run in a process of its own: `python -m benchmarks.dry WORKSPACE PLAN WARM_UP_PLAN`."""

import sys
from pathlib import Path

from benchmarks.meter import RunFailed, at_the_word
from benchmarks.reference import AT, quiet
from engine import pipeline
from engine.model import Severity


def main() -> None:
    """Warm up, wait, render and look at everybody."""
    folder, plan_id, warm_up = sys.argv[1:]
    mailer = pipeline.open_mailer(Path(folder))

    def run(number: str) -> None:
        found = pipeline.dry_run_of(mailer, pipeline.planned(mailer, int(number)), AT, Path(folder) / "samples", quiet)
        if faults := [one for one in found.findings if one.severity is Severity.ERROR]:
            raise RunFailed(f"the dry run found faults in the reference message: {faults[0]}")

    try:
        run(warm_up)
        at_the_word(lambda: run(plan_id))
    finally:
        mailer.store.close()


if __name__ == "__main__":
    main()
