"""Is anything odd about this one finished message? Looks at the rendered text as its reader would."""

import re
from collections.abc import Iterator
from html import unescape

from engine.message.rendering import Rendered
from engine.model import Finding, Severity

WARN_BYTES = 100_000
MOST_BYTES = 102_400  # Gmail cuts a message off at about 102 kB, footer and unsubscribe link with it
_TOO_LARGE = f"Gmail cuts messages off at {MOST_BYTES:,} bytes, footer and unsubscribe link with it"

_GREETING = re.compile(
    r"^\s*(hi|hello|hey|dear|good (?:morning|day|evening)|hei|moi|hyvä|chào|xin chào|kính gửi|salam|hai|سلام|您好|你好"
    r"|亲爱的)\s+[,،!，！]",
    re.IGNORECASE | re.MULTILINE,
)
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\[\[|\]\]|\[%|%\]|%[A-Za-z_]+(?:\.[A-Za-z_]+)*%|\*\|[A-Z_:]+\|\*")
_LEFT_OVER = re.compile(
    r"(?<![\w'-])(None|NaN|nan|undefined|null|Undefined|[Ll]orem ipsum|TODO|FIXME|Missing\(.*?\))(?![\w'-])"
)
_TEST_HOST = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|(?:[\w-]+\.)*(?:example\.(?:com|org|net)|example|invalid|local))"
    r"(?=[:/?#\s]|$)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?://[^\s/?#@]+(?:[/?#]\S*)?|mailto:\S+|tel:\S+|sms:\S+|#\S*)", re.IGNORECASE)


def findings_in(rendered: Rendered) -> list[Finding]:
    """What is wrong with one rendered message: greeting, left-overs, size, links."""
    visible = _visible(rendered.html)
    return [
        *_words("subject", rendered.subject),
        *_words("preheader", rendered.preheader),
        *_words("html", visible),
        *_words("text", rendered.text),
        *_size(rendered.html),
        *_links(rendered.html),
        *_parts(rendered),
    ]


def _words(where: str, text: str) -> Iterator[Finding]:
    if found := _GREETING.search(text):
        yield _finding("ML020", Severity.ERROR, where, "the greeting has no name in it", found[0].strip())
    # People may well be called {{7*7}}: what was never a template is only worth a look.
    if found := _BRACES.search(text):
        yield _finding("ML021", Severity.WARNING, where, "left-over template signs", _round(text, found))
    if found := _LEFT_OVER.search(text):
        yield _finding("ML022", Severity.WARNING, where, f"{found[0]!r} in the text", _round(text, found))


def _size(html: str) -> Iterator[Finding]:
    size = len(html.encode())
    if size > MOST_BYTES:
        yield _finding("ML024", Severity.ERROR, "html", _TOO_LARGE, f"{size:,} bytes")
    elif size > WARN_BYTES:
        yield _finding("ML024", Severity.WARNING, "html", _TOO_LARGE, f"{size:,} bytes")


def _links(html: str) -> Iterator[Finding]:
    for element, attribute, address in _addresses(html):
        if _TEST_HOST.match(address):
            said = f"{element} {attribute} leads to a test machine"
            yield _finding("ML023", Severity.WARNING, "html", said, address[:80])
        elif not _ADDRESS.fullmatch(address):
            said = f"{element} {attribute} is relative or broken"
            yield _finding("ML025", Severity.ERROR, "html", said, address[:80])


def _parts(rendered: Rendered) -> Iterator[Finding]:
    if not rendered.text.strip():
        yield _finding("ML026", Severity.ERROR, "text", "the text part is empty")
    if not rendered.subject:
        yield _finding("ML027", Severity.ERROR, "subject", "the subject is empty")


def _visible(html: str) -> str:
    """What can be read, one line a text."""
    from lxml import html as lxml_html  # late: no command that makes no mail should wait for it

    tree = lxml_html.document_fromstring(html)
    texts = tree.xpath("//body//text()[not(ancestor::style or ancestor::script)]")
    return "\n".join(str(text).strip() for text in texts)


def _addresses(html: str) -> Iterator[tuple[str, str, str]]:
    for found in re.finditer(r"<(a|area|img)\b[^>]*?\s(href|src)=\"([^\"]*)\"", html, re.IGNORECASE):
        yield found[1].lower(), found[2].lower(), unescape(found[3]).strip()


def _round(text: str, found: re.Match[str]) -> str:
    return " ".join(text[max(0, found.start() - 20) : found.end() + 20].split())


def _finding(code: str, severity: Severity, where: str, message: str, example: str = "") -> Finding:
    """What is wrong in general is the message, what stands in this mail is the example: so that findings add up."""
    return Finding(code=code, severity=severity, where=where, message=message, examples=(example,) if example else ())
