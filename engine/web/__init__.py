"""What does a message in somebody's hands talk to? Pixel, redirect, one-click unsubscribe, preferences, view in browser.

Entry: `tracking_app(mailer, clock)` (Starlette) and `serve(mailer)`. Must not know: SQL, templates' insides.
"""

from engine.web.serving import serve
from engine.web.tracking import tracking_app

__all__ = ["serve", "tracking_app"]
