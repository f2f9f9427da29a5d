"""How is the app put on the network? One uvicorn process on the configured address, behind the shop's https proxy."""

import uvicorn

from engine.pipeline import Mailer
from engine.web.tracking import tracking_app


def serve(mailer: Mailer) -> None:
    """Serve until stopped. Access logs are off: a request's path holds a token, its peer is a person."""
    host, _, port = mailer.settings.web.listen.rpartition(":")
    app = tracking_app(mailer)
    uvicorn.run(app, host=host.strip("[]"), port=int(port), log_level="warning", access_log=False, server_header=False)
