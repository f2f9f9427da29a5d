"""Where does the story take place? In a workspace like any other, but for its clock and its known secret."""

import re
from datetime import datetime
from pathlib import Path

from engine import pipeline

# Known to everybody, so that the lots fall the same way in every demo. A real workspace gets a secret of its own.
_SECRET = "the demo's secret is no secret: its people are made up"

_CONFIG = """# The demo's workspace. Its clock stands still at the moment below; people are made up, its secret known.

[shop]
name = "Harvest Lane Market"
postal_address = "12 Harvest Lane, Cincinnati, OH 45202, USA"
url = "https://shop.example"
currency = "USD"
timezone = "America/New_York"
languages = ["en", "fi", "fa", "vi", "ms", "zh"]
margin = 0.25  # an assumption: the panel does not know what the goods cost

[sender]
from = "Harvest Lane Market <hello@harvest-lane.test>"
feedback_id = "harvestlane"
allow_test_domains = true

[transport.outbox]
kind = "outbox"

[transport.inbox]  # the SMTP server that ran while the story was told
kind = "smtp"
host = "127.0.0.1"
port = {smtp_port}
tls = "off"
bounce_domain = "bounce.harvest-lane.test"

[tracking]
base_url = "http://127.0.0.1:{web_port}"

[web]
listen = "127.0.0.1:{web_port}"

[clock]
fixed_at = {at}
"""

_CAMPAIGN = """# The win-back of the story: two variants, a tenth held out by lot.
segment   = "lapsed_regulars"
template  = "winback"
goal      = "order"
window    = "14 days"
send_at   = "09:00 local"
holdout   = 0.1
transport = "inbox"

[[variant]]
name = "reminder"

[[variant]]
name                = "discount"
template            = "winback_discount"
cost_per_conversion = 5.00
"""


def make(folder: Path, *, smtp_port: int, web_port: int, at: datetime) -> None:
    """Write the workspace: the demo's own config and campaign first, then all that `mailer init` brings."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "campaigns").mkdir(exist_ok=True)
    (folder / "campaigns" / "winback.toml").write_text(_CAMPAIGN, encoding="utf-8")
    key = folder / "secret.key"
    key.touch(mode=0o600)
    key.write_text(_SECRET + "\n", encoding="ascii")
    config = _CONFIG.format(smtp_port=smtp_port, web_port=web_port, at=at.isoformat())
    pipeline.init(folder, config)


def set_clock(folder: Path, at: datetime) -> None:
    """Let the workspace's clock stand at another moment."""
    config = folder / "config.toml"
    text = re.sub(r"(?m)^fixed_at = .*$", f"fixed_at = {at.isoformat()}", config.read_text(encoding="utf-8"))
    config.write_text(text, encoding="utf-8")
