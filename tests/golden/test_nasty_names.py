"""Names that break mailers, from the file to the bytes: they arrive as they are, and no header gives way."""

import csv
import email.policy
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest
from golden_shops import CONFIG, SECRET, SHOPS, import_text, quiet
from lxml import html as lxml_html
from nasty import NAMES

from engine import ledger, message, pipeline
from engine.model import Mail, Severity
from engine.pipeline import Mailer
from engine.pipeline.composing import plan_composer
from engine.pipeline.dry_running import letters

CAMPAIGN = 'where = "mailing_consent"\ntemplate = "note"\nsend_at = "now"\n'

# A greeting does without a name that nobody would like to read; here it stands in every place where a name can.
NOTE = """<mjml>
<mj-head>
  <mj-title>For {{ given_name | default("nobody") | truncate(60) }}</mj-title>
  <mj-preview>A line about {{ given_name | default("nobody") }}, somewhat longer.</mj-preview>
</mj-head>
<mj-body>
  <mj-section><mj-column>
    <mj-text>{{ greeting }}</mj-text>
    <mj-text>called {{ given_name | default("nobody") }}!</mj-text>
    <mj-text><a href="https://shop.test/?for={{ given_name | default('') }}"
      title="{{ given_name | default('') }}">To the shop</a></mj-text>
    <mj-text>[[ shop.name ]], [[ shop.postal_address ]]</mj-text>
    <mj-text><a href="{{ links.unsubscribe }}">Unsubscribe</a></mj-text>
  </mj-column></mj-section>
</mj-body>
</mjml>
"""

# What a CSV file in UTF-8 can't say: a lone half of a character.
WRITABLE = [name for name in NAMES if not re.search("[\ud800-\udfff]", name)]

LITERAL = [
    "{{7*7}}",
    "{% raw %}",
    "{{{x}}}",
    "%recipient.x%",
    "-name-",
    "[[var]]",
    "100 %",
    "<script>alert(1)</script>",
    "</a>",
    '" onerror="x',
    "&amp; &lt;",
    "=cmd|' /C calc'!A0",
    "null",
    "None",
    "undefined",
    "nan",
    "a@b.c",
    "Doe, John",
    'John "Jack" Doe',
    "Bob <evil@x.test>, c",
    "back\\slash\\",
    "(comment) name",
    "=?utf-8?q?owned?=",
    "_under_score_",
    "مریم رضایی",
    "👨‍👩‍👧‍👦 Familie",
    "Nguyễn Thị Ánh Nguyệt",
]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A mail of the dry run, as a receiver's program reads it."""

    mail: Mail
    read: EmailMessage
    expected: message.Expected

    def part(self, kind: str) -> str:
        found = self.read.get_body((kind,))
        assert found is not None
        return str(found.get_content())


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A dry run over everybody with a nasty name, and every mail of it."""

    mailer: Mailer
    run: pipeline.DryRun
    imported: pipeline.ImportResult
    sent: Mapping[str, Sent]  # by the name in the file


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    folder = tmp_path_factory.mktemp("nasty") / "shop"
    folder.mkdir()
    (folder / "secret.key").write_text(SECRET)
    config = CONFIG.format(language="en", **vars(SHOPS["en"]))
    pipeline.init(folder, config[: config.index('[dkim."shop.test"]')] + config[config.index("[clock]") :])
    (folder / "campaigns" / "note.toml").write_text(CAMPAIGN)
    (folder / "templates" / "note").mkdir()
    (folder / "templates" / "note" / "en.mjml").write_text(NOTE)
    mailer = pipeline.open_mailer(folder)
    imported = import_text(mailer, "contacts", contacts(WRITABLE))
    run = pipeline.dry_run(mailer, "note", mailer.clock(), "once", folder / "samples", quiet)
    sent = {name_of(mail.recipient): one for mail, one in composed(mailer, run)}
    yield Rehearsal(mailer=mailer, run=run, imported=imported, sent=sent)
    mailer.store.close()


def contacts(names: list[str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["email", "given_name", "full_name", "language", "mailing_consent", "tracking_consent"])
    writer.writerows([f"n{n}@names.test", name, name, "en", "yes", "yes"] for n, name in enumerate(names))
    return out.getvalue()


def tree(page: str) -> lxml_html.HtmlElement:
    return lxml_html.document_fromstring(page)


def texts(page: str) -> list[str]:
    return [str(one).strip() for one in tree(page).xpath("//body//text()")]


def name_of(recipient: str) -> str:
    return WRITABLE[int(recipient.removeprefix("n").partition("@")[0])]


def composed(mailer: Mailer, run: pipeline.DryRun) -> Iterator[tuple[Mail, Sent]]:
    compose = plan_composer(mailer, ledger.plan_of(mailer.store, run.planned.plan_id))
    for _, letter in letters(mailer, run.planned.plan_id, "note", "once"):
        assert letter is not None
        _, mail = compose.compose(letter, mailer.clock())
        read = message_from_bytes(mail.data, policy=email.policy.default)
        assert isinstance(read, EmailMessage)
        yield mail, Sent(mail=mail, read=read, expected=compose.expected(letter, mail))


def test_every_name_comes_in_and_gets_its_mail(rehearsal: Rehearsal) -> None:
    assert [] == list(rehearsal.imported.refused)
    assert set(WRITABLE) == set(rehearsal.sent)
    assert [] == [one for one in rehearsal.run.findings if one.severity is Severity.ERROR]


@pytest.mark.parametrize("name", WRITABLE, ids=lambda name: ascii(name)[:40])
def test_the_gate_finds_nothing(rehearsal: Rehearsal, name: str) -> None:
    one = rehearsal.sent[name]

    assert [] == message.check_mail(one.mail.data, one.expected)


@pytest.mark.parametrize("name", WRITABLE, ids=lambda name: ascii(name)[:40])
def test_the_mail_goes_to_one_person_and_has_no_other_headers(rehearsal: Rehearsal, name: str) -> None:
    read = rehearsal.sent[name].read

    (to,) = read["To"].addresses
    assert f"n{WRITABLE.index(name)}@names.test" == to.addr_spec
    assert [
        *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "List-Unsubscribe"),
        *("List-Unsubscribe-Post", "List-ID", "Feedback-ID", "Precedence", "Auto-Submitted", "X-Campaign"),
    ] == list(read.keys())
    assert [] == read.defects


def test_half_a_character_is_refused_and_a_pair_of_halves_is_one(rehearsal: Rehearsal) -> None:
    path = rehearsal.mailer.folder / "halves.jsonl"
    path.write_text(
        '{"email": "half@people.test", "given_name": "\\ud800half"}\n'
        '{"email": "pair@people.test", "given_name": "\\ud83d\\ude00"}\n'
    )

    done = pipeline.import_file(rehearsal.mailer, "contacts", path, {}, "", "point", quiet)

    assert [1] == [one.line for one in done.refused]
    assert "😀" == pipeline.contact_card(rehearsal.mailer, "pair@people.test")["given_name"]


@pytest.mark.parametrize("name", LITERAL, ids=lambda name: ascii(name)[:40])
def test_the_name_arrives_literally(rehearsal: Rehearsal, name: str) -> None:
    one = rehearsal.sent[name]

    assert f"called {name}!" in one.part("plain").splitlines()
    assert f"called {name}!" in texts(one.part("html"))
    assert [name] == [a.get("title") for a in tree(one.part("html")).iter("a") if a.get("title") is not None]
    assert (name, f"For {name}") == (one.read["To"].addresses[0].display_name, str(one.read["Subject"]))


@pytest.mark.parametrize("name", WRITABLE, ids=lambda name: ascii(name)[:40])
def test_a_name_never_changes_the_page(rehearsal: Rehearsal, name: str) -> None:
    plain = [one.tag for one in tree(rehearsal.sent["Doe, John"].part("html")).iter()]

    assert plain == [one.tag for one in tree(rehearsal.sent[name].part("html")).iter()]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "nobody"),
        ("   ", "nobody"),
        ("\u00a0", "nobody"),
        ("\u200b", "nobody"),
        ("\u200b\u200c\u200d\ufeff", "nobody"),
        ("Ann\r\nBcc: evil@x.test", "Ann Bcc: evil@x.test"),
        ("Ann\nSubject: owned", "Ann Subject: owned"),
        ("Ann\r\n\r\n<html>", "Ann <html>"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u2066b\u2069c", "a b c"),
        ("a\u0085b\u2028c\u2029d", "a b c d"),
        ("nul\0nul", "nul nul"),
        ("\t=1", "=1"),
        ("trailing ", "trailing"),
        ("Zoe\u0308", "Zoë"),
    ],
    ids=ascii,
)
def test_what_could_deceive_or_break_out_is_taken_out(rehearsal: Rehearsal, name: str, shown: str) -> None:
    one = rehearsal.sent[name]

    assert f"called {shown}!" in one.part("plain").splitlines()
    assert ("" if shown == "nobody" else shown, f"For {shown}") == (
        one.read["To"].addresses[0].display_name,
        str(one.read["Subject"]),
    )


@pytest.mark.parametrize("name", ["x" * 10_000, "word " * 2_000, "é" * 10_000], ids=["x", "words", "é"])
def test_an_endless_name_is_cut(rehearsal: Rehearsal, name: str) -> None:
    one = rehearsal.sent[name]

    (called,) = [line for line in one.part("plain").splitlines() if line.startswith("called ")]
    assert f"called {name[:500].strip()}!" == called
    # Python's parser puts a blank between encoded words, where none stands (RFC 2047 6.2).
    assert len(one.read["To"].addresses[0].display_name.replace(" ", "")) <= 64


def test_every_digest_is_what_the_dry_run_kept_and_no_clock_changes_it(rehearsal: Rehearsal) -> None:
    mailer, plan_id = rehearsal.mailer, rehearsal.run.planned.plan_id
    kept = {row["email"]: row["digest"] for row in pipeline.plan_rows(mailer, plan_id)}
    compose, later = plan_composer(mailer, ledger.plan_of(mailer.store, plan_id)), mailer.clock() + timedelta(days=1)

    again = [compose.compose(letter, later)[1] for _, letter in letters(mailer, plan_id, "note", "once") if letter]

    assert kept == {one.mail.recipient: one.mail.digest for one in rehearsal.sent.values()}
    assert kept == {one.recipient: one.digest for one in again}
    assert len(set(kept.values())) == len(kept)


@pytest.mark.parametrize(
    "address",
    [
        "a@y.test,c@d",
        "b@y.test>\r\nRCPT TO:<evil@z.test",
        "b@y.test\nDATA",
        "a@y.test\x00",
        "a@y.test\x00b",
        "a..b@y.test",
        ".a@y.test",
        "a@nodomain",
        '"a b"@y.test',
        "x" * 65 + "@y.test",
        "a@" + "x" * 64 + ".test",
        "a@[127.0.0.1]",
        "a b@y.test",
        "a@y.test.",
        "a@y..test",
        "@y.test",
        "a@",
        "",
    ],
    ids=lambda one: ascii(one)[:40],
)
def test_a_bad_address_is_refused_with_its_line(rehearsal: Rehearsal, tmp_path: Path, address: str) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(
        [["email", "given_name"], ["good@people.test", "Good"], [address, "Bad"], ["fine@people.test", "Fine"]]
    )

    done = import_text(rehearsal.mailer, "contacts", out.getvalue())

    assert (3, [3]) == (done.rows, [one.line for one in done.refused])
    assert done.refused[0].why


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mailto:Ida@people.test", "Ida@people.test"),
        ("Ida <Ida@people.test>", "Ida@people.test"),
        (" \u00a0Ida@people.test\u200b\ufeff", "Ida@people.test"),
        ("IDA@PEOPLE.TEST", "Ida@people.test"),
        ("ida@é.test", "ida@xn--9ca.test"),
        ("ida@xn--9ca.test", "ida@xn--9ca.test"),
        ("ida+news@people.test", "ida+news@people.test"),
        ("ö@people.test", "ö@people.test"),
    ],
    ids=lambda one: ascii(one)[:40],
)
def test_a_decorated_address_is_understood(rehearsal: Rehearsal, written: str, meant: str) -> None:
    done = import_text(rehearsal.mailer, "contacts", f'email,given_name\n"{written}",Ida\n')

    assert [] == list(done.refused)
    assert meant.casefold() == pipeline.contact_card(rehearsal.mailer, written)["email"].casefold()
