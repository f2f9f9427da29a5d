"""One sender in a process of its own: `python -m benchmarks.sender WORKSPACE PLAN WARM_UP_PLAN [watched]`.

It is the engine's own `send_due`. The warm-up is a small plan of the same message, sent before the word: so the
template's compilation and late imports are not counted, as they are not in a campaign of any size.
"""

import sys
from pathlib import Path

from benchmarks import parts
from benchmarks.meter import at_the_word
from engine import pipeline


def main() -> None:
    """Warm up, wait, send."""
    folder, plan_id, warm_up, *watched = sys.argv[1:]
    mailer = pipeline.open_mailer(Path(folder))
    pipeline.send_due(mailer, pipeline.Stop(), int(warm_up))

    def work() -> dict[str, int] | None:
        if not watched:
            pipeline.send_due(mailer, pipeline.Stop(), int(plan_id))
            return None
        with parts.watched() as places:
            pipeline.send_due(mailer, pipeline.Stop(), int(plan_id))
        return dict(places)

    try:
        at_the_word(work)
    finally:
        mailer.store.close()


if __name__ == "__main__":
    main()
