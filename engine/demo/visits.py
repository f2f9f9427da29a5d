"""What do the readers do? Simulated people and scanners who visit the links of the mails they received, for real.

Every visit is a request to the real tracking server; only the behaviour is made up: drawn by address, so that it is
the same in every demo. Nobody here buys anything: December's orders are the panel's own.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage

import requests

OPENS, CLICKS, SCANNED, UNSUBSCRIBES = 0.45, 0.14, 0.05, 0.01
_BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
_SCANNER = "Mozilla/5.0 (compatible; Barracuda Sentinel)"
_LINK = re.compile(r'href="(http://[^"]+/c/[^"]+)"')
_PIXEL = re.compile(r'src="(http://[^"]+/o/[^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """How many did what."""

    opened: int
    clicked: int
    scanned: int
    unsubscribed: int


def visit(mails: list[EmailMessage], sent_at: datetime, set_clock: Callable[[datetime], None]) -> Visits:
    """Let some open, some click, some scanners follow every link, a few unsubscribe with one click."""
    done = {"opened": 0, "clicked": 0, "scanned": 0, "unsubscribed": 0}
    with requests.Session() as http:
        for mail in mails:
            draw = random.Random(f"visit {mail['To']}")
            html = _html(mail)
            links, pixel = _LINK.findall(html), _PIXEL.search(html)
            moment = sent_at + timedelta(hours=draw.lognormvariate(2.2, 1.2))
            if links and draw.random() < SCANNED:
                set_clock(sent_at + timedelta(seconds=1))
                for link in links:
                    _get(http, link, _SCANNER)
                done["scanned"] += 1
            if pixel and draw.random() < OPENS:
                set_clock(moment)
                _get(http, pixel[1], _BROWSER)
                done["opened"] += 1
                if links and draw.random() < CLICKS / OPENS:
                    set_clock(moment + timedelta(seconds=40))
                    _get(http, draw.choice(links), _BROWSER)
                    done["clicked"] += 1
            if draw.random() < UNSUBSCRIBES:
                set_clock(moment + timedelta(minutes=1))
                url = mail["List-Unsubscribe"].split(">")[0].strip("< ")
                http.post(url, data={"List-Unsubscribe": "One-Click"}, timeout=10).raise_for_status()
                done["unsubscribed"] += 1
    return Visits(**done)


def _get(http: requests.Session, url: str, agent: str) -> None:
    headers = {"User-Agent": agent, "Accept-Language": "en"}
    http.get(url.replace("&amp;", "&"), headers=headers, allow_redirects=False, timeout=10)


def _html(mail: EmailMessage) -> str:
    part = mail.get_body(preferencelist=("html",))
    return part.get_content() if part else ""
