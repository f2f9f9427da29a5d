"""A small shop whose mails lie in its outbox, and the real tracking server on loopback that their links lead to."""

import email.policy
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from html import unescape
from pathlib import Path

import requests
import sqlalchemy as sa
import uvicorn

from engine import pipeline, web
from engine.clock import clock_set_to
from engine.feedback.webhooks import Fetch, fetch
from engine.pipeline import Mailer
from engine.store.tables import hit

SENT_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
CAMPAIGN = "tour"

_CONFIG = """
[shop]
name = "Harbour & Hill"
postal_address = "14 Quay Street, Bristol BS1 4DJ, United Kingdom"
url = "https://shop.example/home"
currency = "GBP"
languages = ["en", "fa", "zh"]
[sender]
from = "Harbour & Hill <hello@shop.test>"
allow_test_domains = true
[transport.main]
kind = "outbox"
[tracking]
base_url = "http://127.0.0.1:{port}"
mode = "{mode}"
[web]
listen = "127.0.0.1:{port}"
[clock]
fixed_at = {at}
"""

_CONTACTS = """email,full_name,language,mailing_consent,tracking_consent
anna@people.test,Anna Bennett,en,yes,yes
bahar@people.test,مریم احمدی,fa,yes,yes
chen@people.test,王小明,zh,yes,yes
dora@people.test,Dora Quill,en,yes,no
"""

# What shops really have in a product's address.
PRODUCTS = {
    "p1": "https://shop.example/p/1?size=L&colour=red#reviews",
    "p2": "https://kahvilä.example/tuote",
    "p3": "http://shop.example/p/3",
}

_ORDERS = "order_id,line_no,email,ordered_at,product_id,quantity,unit_price,currency\n" + "".join(
    f"{name}-{product},1,{name}@people.test,2026-02-0{n}T10:00:00Z,{product},1,5.00,GBP\n"
    for name in ("anna", "bahar", "chen", "dora")
    for n, product in enumerate(PRODUCTS, 1)
)

_TEMPLATE = """<mjml><mj-head><mj-title>{title}</mj-title></mj-head><mj-body><mj-section><mj-column>
<mj-text>
<p><a href="https://shop.example/new?a=1&amp;b=2#top">Novelties</a></p>
<p><a href="https://shop.example/new?a=1&amp;b=2#top">Once more</a></p>
<p><a href="https://kahvilä.example/menu à la carte">Menu</a></p>
<p><a href="mailto:hello@shop.test">Write</a></p>
<p><a href="https://shop.example/hello?who={{{{ full_name }}}}">Yours</a></p>
{{% for bought in last_purchases %}}<p><a href="{{{{ bought.url }}}}">{{{{ bought.title }}}}</a></p>
{{% endfor %}}
<p><a href="{{{{ links.unsubscribe }}}}">Unsubscribe</a></p>
<p><a href="{{{{ links.preferences }}}}">Preferences</a></p>
<p><a href="{{{{ links.view }}}}">View</a></p>
<p>{{{{ shop.name }}}}, {{{{ shop.postal_address }}}}</p>
</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""

_CAMPAIGN = """
where = "mailing_consent"
template = "tour"
goal = "order"
window = "14 days"
send_at = "now"
"""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_shop(folder: Path, port: int, mode: str = "individual-with-consent", *, send: bool = True) -> None:
    """A workspace with four people who bought three things each, and a mail to each of them in the outbox."""
    (folder / "campaigns").mkdir(parents=True)
    (folder / "campaigns" / f"{CAMPAIGN}.toml").write_text(_CAMPAIGN)
    template = folder / "templates" / "tour"
    template.mkdir(parents=True)
    for language, title in (("en", "A tour"), ("fa", "گردش"), ("zh", "游览")):
        (template / f"{language}.mjml").write_text(_TEMPLATE.format(title=title))
    pipeline.init(folder, _CONFIG.format(port=port, mode=mode, at=SENT_AT.isoformat()))
    with opened(folder) as mailer:
        products = "product_id,title,url\n" + "".join(f"{n},Thing {n},{url}\n" for n, url in PRODUCTS.items())
        for kind, text in (("contacts", _CONTACTS), ("products", products), ("orders", _ORDERS)):
            import_text(mailer, kind, text)
        if send:
            pipeline.send(mailer, CAMPAIGN, None, "once", SENT_AT, lambda _made: None, quiet)


@contextmanager
def opened(folder: Path) -> Iterator[Mailer]:
    """The workspace, opened as a command opens it."""
    mailer = pipeline.open_mailer(folder)
    try:
        yield mailer
    finally:
        mailer.store.close()


def import_text(mailer: Mailer, kind: str, text: str) -> pipeline.ImportResult:
    """Import what would be a file."""
    path = mailer.folder / f"{kind}.csv"
    path.write_text(text, encoding="utf-8")
    return pipeline.import_file(mailer, kind, path, {}, "", "point", quiet)


def quiet(_done: int, _total: int | None) -> None:
    """Progress that nobody looks at."""


# ---------------------------------------------------------------- mails


@dataclass(frozen=True)
class Mail:
    """A mail of the outbox, as its reader sees it."""

    message: EmailMessage

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def links(self) -> list[str]:
        """Every address of the HTML part that can be clicked, in order."""
        return [unescape(one) for one in re.findall(r'<a\b[^>]*?href="([^"]*)"', self.html)]

    @property
    def text_links(self) -> list[str]:
        """Every address of the text part, in order."""
        return re.findall(r"https?://\S+", self.text)

    @property
    def clicks(self) -> list[str]:
        """The links that are counted, each once, in order."""
        return list(dict.fromkeys(one for one in self.links if "/c/" in one or "/a/" in one))

    @property
    def pixel(self) -> str:
        return unescape(re.findall(r'<img\b[^>]*?src="([^"]*/o/[^"]*)"', self.html)[0])

    @property
    def unsubscribe(self) -> str:
        """The address of the header that mail programs post to."""
        return re.fullmatch(r"<(http[^>]+)>(?:,.*)?", self.message["List-Unsubscribe"])[1]  # type: ignore[index]

    def own(self, letter: str) -> str:
        """The link of the HTML part to one of our pages: u, p or v."""
        return next(one for one in self.links if f"/{letter}/" in one and "127.0.0.1" in one)

    def _part(self, kind: str) -> str:
        part = self.message.get_body(preferencelist=(kind,))
        assert part is not None
        return str(part.get_content())


def mail_to(folder: Path, name: str) -> Mail:
    """The mail of `name`@people.test in the outbox."""
    mails = [message_from_bytes(one.read_bytes(), policy=email.policy.default) for one in folder.glob("outbox/*.eml")]
    (found,) = [one for one in mails if f"{name}@people.test" in one["To"]]
    return Mail(found)


# ---------------------------------------------------------------- the server


@dataclass
class Site:
    """The tracking server, and a clock that the test moves."""

    mailer: Mailer
    port: int
    now: list[datetime] = field(default_factory=lambda: [SENT_AT + timedelta(hours=1)])

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def later(self, **by: float) -> None:
        """Move the clock on."""
        self.now[0] += timedelta(**by)

    def get(self, url: str, **kwargs: object) -> requests.Response:
        """A person's visit; redirects are shown, not followed."""
        return self.call("GET", url, **kwargs)

    def call(self, method: str, url: str, **kwargs: object) -> requests.Response:
        headers = {"User-Agent": PHONE, "Accept-Language": "en"} | dict(kwargs.pop("headers", {}))  # type: ignore[call-overload]
        return requests.request(method, url, headers=headers, allow_redirects=False, timeout=10, **kwargs)  # type: ignore[arg-type]

    def hits(self) -> list[Mapping[str, object]]:
        """What the database holds once everything spooled so far is drained."""
        time.sleep(0.25)  # the server's own flush, every 100 ms; draining is done here
        pipeline.drain_hits(self.mailer, pipeline.spool_of(self.mailer))
        with self.mailer.store.read() as db:
            return [dict(row._mapping) for row in db.execute(sa.select(hit).order_by(hit.c.id))]


@contextmanager
def served(folder: Path, get: Fetch = fetch) -> Iterator[Site]:
    """The real app under the real uvicorn, as `mailer serve` runs it but for the thread; `get` is its way out."""
    with opened(folder) as mailer:
        port = int(mailer.settings.web.listen.rpartition(":")[2])
        site = Site(mailer, port)
        config = web.server_config(web.tracking_app(mailer, lambda: site.now[0], get))
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", port)) as listening:
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            try:
                yield site
            finally:
                server.should_exit = True
                thread.join()


@contextmanager
def serving(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`mailer serve` in a process of its own, from its first answer on; killed at the end if it still lives."""
    with running(folder, "serve") as server:
        base = mail_to(folder, "anna").unsubscribe.partition("/u/")[0]
        until = time.monotonic() + 30
        while not _answers(base):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.02)
        yield server


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`mailer ...` in a process of its own, killed at the end if it still lives."""
    command = [sys.executable, "-m", "engine", "--workspace", str(folder), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _answers(base: str) -> bool:
    try:
        return requests.get(f"{base}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def moved(mailer: Mailer, at: datetime) -> Mailer:
    """The workspace at another moment."""
    return replace(mailer, clock=clock_set_to(at))
