"""Is anything odd about this one finished message? Looks at the rendered text as its reader would."""

import re
from collections.abc import Iterator
from html import unescape

from engine.message.rendering import Rendered
from engine.message.wordings import ADDRESS, BRACES, GREETING, LEFT_OVER, TEST_HOST
from engine.model import Finding, Severity

WARN_BYTES = 100_000
MOST_BYTES = 102_400  # Gmail cuts a message off at about 102 kB, footer and unsubscribe link with it
_TOO_LARGE = f"Gmail cuts messages off at {MOST_BYTES:,} bytes, footer and unsubscribe link with it"


def findings_in(rendered: Rendered) -> list[Finding]:
    """What is wrong with one rendered message: greeting, left-overs, size, links."""
    visible = visible_text(rendered.html)
    return [
        *findings_in_words("subject", rendered.subject),
        *findings_in_words("preheader", rendered.preheader),
        *findings_in_words("html", visible),
        *findings_in_words("text", rendered.text),
        *_size(rendered.html),
        *_links(rendered.html),
        *_parts(rendered),
    ]


def findings_in_words(where: str, text: str) -> Iterator[Finding]:
    """What is wrong with a text as its reader sees it."""
    if found := GREETING.search(text):
        yield _finding("ML020", Severity.ERROR, where, "the greeting has no name in it", found[0].strip())
    # People may well be called {{7*7}}: what was never a template is only worth a look.
    if found := BRACES.search(text):
        yield _finding("ML021", Severity.WARNING, where, "left-over template signs", _round(text, found))
    if found := LEFT_OVER.search(text):
        yield _finding("ML022", Severity.WARNING, where, f"{found[0]!r} in the text", _round(text, found))


def _size(html: str) -> Iterator[Finding]:
    size = len(html.encode())
    if size > MOST_BYTES:
        yield _finding("ML024", Severity.ERROR, "html", _TOO_LARGE, f"{size:,} bytes")
    elif size > WARN_BYTES:
        yield _finding("ML024", Severity.WARNING, "html", _TOO_LARGE, f"{size:,} bytes")


def _links(html: str) -> Iterator[Finding]:
    for element, attribute, address in links_in(html):
        if TEST_HOST.match(address):
            said = f"{element} {attribute} leads to a test machine"
            yield _finding("ML023", Severity.WARNING, "html", said, address[:80])
        elif not ADDRESS.fullmatch(address):
            said = f"{element} {attribute} is relative or broken"
            yield _finding("ML025", Severity.ERROR, "html", said, address[:80])


def _parts(rendered: Rendered) -> Iterator[Finding]:
    if not rendered.text.strip():
        yield _finding("ML026", Severity.ERROR, "text", "the text part is empty")
    if not rendered.subject:
        yield _finding("ML027", Severity.ERROR, "subject", "the subject is empty")


def visible_text(html: str) -> str:
    """What can be read, one line a text."""
    from lxml import html as lxml_html  # late: no command that makes no mail should wait for it

    tree = lxml_html.document_fromstring(html)
    texts = tree.xpath("//body//text()[not(ancestor::style or ancestor::script)]")
    return "\n".join(str(text).strip() for text in texts)


def links_in(html: str) -> Iterator[tuple[str, str, str]]:
    """The links and pictures of a document: element, attribute, address."""
    for found in re.finditer(r"<(a|area|img)\b[^>]*?\s(href|src)=\"([^\"]*)\"", html, re.IGNORECASE):
        yield found[1].lower(), found[2].lower(), unescape(found[3]).strip()


def _round(text: str, found: re.Match[str]) -> str:
    return " ".join(text[max(0, found.start() - 20) : found.end() + 20].split())


def _finding(code: str, severity: Severity, where: str, message: str, example: str = "") -> Finding:
    """What is wrong in general is the message, what stands in this mail is the example: so that findings add up."""
    return Finding(code=code, severity=severity, where=where, message=message, examples=(example,) if example else ())
