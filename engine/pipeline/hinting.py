"""What could senders on other machines take now? For hints only: what goes out is decided by each claim."""

from datetime import datetime

from engine import ledger
from engine.ledger import Runnable
from engine.pipeline.composing import routes
from engine.pipeline.workspace import Mailer


def runnable(mailer: Mailer, at: datetime) -> list[Runnable]:
    """Every batch that is due or whose sender was lost, and that nothing holds back: no pause, pace or breaker."""
    alone = ledger.left_alone(mailer.store)
    ways = {"": routes(mailer, None), **{name: routes(mailer, name) for name in mailer.settings.transport}}
    via = {name: next((one for one in some if one not in alone), some[0]) for name, some in ways.items()}
    return ledger.runnable(mailer.store, at, via=via, shut=alone)
