"""What does a message in somebody's hands talk to? Pixel, redirect, one-click unsubscribe, preferences, a mail's page.

Entry: `tracking_app(mailer, clock)` (Starlette), `server_config(app)` and `serve(mailer)`. Must not know: SQL,
templates' insides.
"""

from engine.web.serving import serve, server_config
from engine.web.tracking import tracking_app

__all__ = ["serve", "server_config", "tracking_app"]
