"""Three recipes in six languages, byte for byte as a shop would send them.

After a change that was meant, `GOLDEN=rewrite pytest tests/golden` writes the files anew; look at their difference,
and open one or two in a mail program, before committing them.
"""

import email.policy
import os
import re
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest
from golden_shops import READER, RECIPES, SHOPS, quiet
from lxml import html as lxml_html

from engine import message, pipeline
from engine.model import Severity
from engine.pipeline import Mailer

GOLDEN = Path(__file__).parent
UNSUBSCRIBE = re.compile(r"<(https://mail\.shop\.test/u/[A-Za-z0-9_-]{40,})>")
LEFT_OVER = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|⟦|⟧|\bNone\b|\bnan\b|Undefined|Missing|_\(\"")

ShopOf = Callable[[str], Mailer]

every_mail = pytest.mark.parametrize(("recipe", "language"), [(r, one) for r in RECIPES for one in SHOPS])


@pytest.fixture(scope="session")
def mail_of(shop_of: ShopOf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], bytes]:
    """The mail that a shop's reader would get of a recipe."""
    made: dict[tuple[str, str], bytes] = {}

    def give(recipe: str, language: str) -> bytes:
        if (recipe, language) not in made:
            mailer, out = shop_of(language), tmp_path_factory.mktemp("preview")
            seen = pipeline.preview(mailer, recipe, READER, None, out, mailer.clock())
            made[recipe, language] = seen.eml.read_bytes()
        return made[recipe, language]

    return give


MailOf = Callable[[str, str], bytes]


@every_mail
def test_the_mail_is_the_golden_one(mail_of: MailOf, recipe: str, language: str) -> None:
    mail, path = normalised(mail_of(recipe, language)), GOLDEN / f"{recipe}-{language}.eml"
    if os.environ.get("GOLDEN") == "rewrite":
        path.write_bytes(mail)

    golden = path.read_bytes()
    assert readable(golden) == readable(mail)  # tells what changed
    assert golden == mail


@every_mail
def test_a_dry_run_shows_the_very_same_bytes(
    shop_of: ShopOf, mail_of: MailOf, tmp_path: Path, recipe: str, language: str
) -> None:
    mailer = shop_of(language)

    run = pipeline.dry_run(mailer, recipe, mailer.clock(), "once", tmp_path, quiet)

    assert [] == [one for one in run.findings if one.severity is Severity.ERROR]
    assert [mail_of(recipe, language)] == [sample.read_bytes() for sample in run.samples]


@every_mail
def test_a_receiver_finds_nothing_to_object_to(mail_of: MailOf, recipe: str, language: str) -> None:
    mail = mail_of(recipe, language)
    found = UNSUBSCRIBE.fullmatch(parsed(mail)["List-Unsubscribe"])
    assert found

    expected = message.Expected(
        unsubscribe_url=found[1],
        postal_address=SHOPS[language].postal_address,
        envelope_from="bounce+token@bounce.shop.test",
    )
    assert [] == message.check_mail(mail, expected)


@every_mail
def test_one_click_unsubscribe_is_literal(mail_of: MailOf, recipe: str, language: str) -> None:
    head = mail_of(recipe, language).split(b"\r\n\r\n", 1)[0] + b"\r\n"

    assert re.search(rb"^List-Unsubscribe: <https://mail\.shop\.test/u/[A-Za-z0-9_-]{40,}>\r\n", head, re.MULTILINE)
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in head


@every_mail
def test_both_parts_show_how_to_leave_and_who_writes(mail_of: MailOf, recipe: str, language: str) -> None:
    mail, address = parsed(mail_of(recipe, language)), SHOPS[language].postal_address
    (url,) = UNSUBSCRIBE.findall(mail["List-Unsubscribe"])
    page, text = tree(mail), part(mail, "plain")

    assert 1 == len([a for a in page.iter("a") if a.get("href") == url and a.text_content().strip()])
    assert address in " ".join(page.text_content().split())
    assert (1, 1) == (text.count(url), text.count(address))


@every_mail
def test_the_reader_is_greeted_as_her_language_does(mail_of: MailOf, recipe: str, language: str) -> None:
    mail, greeting = parsed(mail_of(recipe, language)), SHOPS[language].greeting

    assert greeting in part(mail, "plain").splitlines()
    assert greeting in {str(one).strip() for one in tree(mail).xpath("//body//text()")}


@every_mail
def test_the_page_says_its_language_and_direction(mail_of: MailOf, recipe: str, language: str) -> None:
    page = tree(parsed(mail_of(recipe, language)))

    assert (language, SHOPS[language].direction) == (page.get("lang"), page.get("dir"))


@every_mail
def test_no_token_is_left(mail_of: MailOf, recipe: str, language: str) -> None:
    mail = parsed(mail_of(recipe, language))

    for where in (str(mail["Subject"]), part(mail, "plain"), tree(mail).text_content()):
        assert None is LEFT_OVER.search(where)


def test_no_golden_mail_is_left_over() -> None:
    assert {f"{recipe}-{language}.eml" for recipe in RECIPES for language in SHOPS} == {
        path.name for path in GOLDEN.glob("*.eml")
    }


def normalised(mail: bytes) -> bytes:
    """The mail without what changes from send to send: its date and its signature."""
    head, separator, body = mail.partition(b"\r\n\r\n")
    head, dates = re.subn(rb"(?m)^Date: [^\r]+", b"Date: (the moment of sending)", head)
    head, signatures = re.subn(
        rb"(?m)^DKIM-Signature: [^\r]*(?:\r\n[ \t][^\r]*)*", b"DKIM-Signature: (over all of it)", head
    )
    assert (1, 1) == (dates, signatures)
    return head + separator + body


def readable(mail: bytes) -> str:
    """Headers and both parts, decoded."""
    read = parsed(mail)
    return "\n".join([*(f"{k}: {v}" for k, v in read.items()), part(read, "plain"), part(read, "html")])


def parsed(mail: bytes) -> EmailMessage:
    read = message_from_bytes(mail, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    assert [] == read.defects
    return read


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def tree(mail: EmailMessage) -> lxml_html.HtmlElement:
    return lxml_html.document_fromstring(part(mail, "html"))
