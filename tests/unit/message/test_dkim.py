"""Signatures, checked by dkimpy: the right mail passes, any change that matters does not."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from digests import digest_of
from fused_bench import written

from engine.config import Settings, load_settings
from engine.errors import BadConfig
from engine.message import LinkAddresses, render_mail
from engine.message.dkim import Signer, load_signer, signers_for
from engine.message.headers import Mailbox, MailHeaders
from engine.message.mime import compose

HEADERS = MailHeaders(
    delivery_id="abc234abc234abc234abc234",
    to=Mailbox(email="ann@example.test", name="Zoë, " + "long " * 12),
    from_=Mailbox(email="news@shop.test", name="Corner Shop"),
    date=datetime(2026, 3, 1, 12, tzinfo=UTC),
    bounce_domain="bounce.shop.test",
    unsubscribe_url="https://t.shop.test/u/" + "A" * 43,
    reply_to=Mailbox(email="help@shop.test"),
    list_id="news.shop.test",
    feedback_id="spring:marketing:shop:corner",
)
RSA = generate_private_key(65537, 2048)
KEYS: dict[str, RSAPrivateKey | Ed25519PrivateKey] = {"rsa-sha256": RSA, "ed25519-sha256": Ed25519PrivateKey.generate()}


@dataclass
class Text:
    subject: str = "Grüße — " + "and more words to fold " * 6
    html: str = "<p>Hello</p>\n" * 50
    text: str = "Hello\n\n"


@pytest.fixture(params=list(KEYS))
def signer(request: pytest.FixtureRequest) -> Signer:
    return Signer(domain="shop.test", selector="s1", key=KEYS[request.param], algorithm=request.param)


def record(signer: Signer) -> bytes:
    public = signer.key.public_key()
    if isinstance(signer.key, RSAPrivateKey):
        kind, raw = b"rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, raw = b"ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"v=DKIM1; k=" + kind + b"; p=" + base64.b64encode(raw)


def dns(*signers: Signer) -> Callable[..., bytes]:
    records = {f"{one.selector}._domainkey.{one.domain}.".encode(): record(one) for one in signers}

    def answer(name: bytes, timeout: int = 5) -> bytes:
        return records[name]

    return answer


def passes(data: bytes, *signers: Signer) -> bool:
    """Whether each signature holds; there are as many as signers."""
    return all(holds(data, number, *signers) for number in range(len(signers)))


def holds(data: bytes, number: int, *signers: Signer) -> bool:
    try:
        return bool(dkim.DKIM(data).verify(number, dnsfunc=dns(*signers)))
    except dkim.DKIMException:
        return False


def test_a_signed_mail_passes(signer: Signer) -> None:
    data = compose(Text(), HEADERS, signer).data

    assert passes(data, signer)


def test_a_mail_whose_folds_a_relay_changed_still_passes(signer: Signer) -> None:
    data = compose(Text(), HEADERS, signer).data
    assert b"words\r\n to" in data or b"\r\n =?utf-8?q?" in data
    refolded = data.replace(b"\r\n =?utf-8?q?", b"   =?utf-8?q?", 1).replace(b"Message-ID: ", b"MESSAGE-id:\t", 1)

    assert refolded != data
    assert passes(refolded, signer)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda data: data.replace(b"<p>Hello", b"<p>Hallo", 1),
        lambda data: data + b"more\r\n",
        lambda data: data.replace(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b"", 1),
        lambda data: data.replace(b"https://t.shop.test/u/", b"https://evil.test/u/", 1),
        lambda data: data.replace(b"To: ", b"To: x", 1),
        lambda data: data.replace(b"Reply-To: help@", b"Reply-To: evil@", 1),
        lambda data: data.replace(b"Feedback-ID: spring", b"Feedback-ID: summer", 1),
        lambda data: data.replace(b"Date: Sun", b"Date: Mon", 1),
        lambda data: data.replace(b"t=17", b"t=18", 1),
        lambda data: b"From: evil@x.test\r\n" + data,
        lambda data: data.replace(b"\r\nTo:", b"\r\nFrom: evil@x.test\r\nTo:", 1),
        lambda data: b"List-Unsubscribe: <https://evil.test/u>\r\n" + data,
        lambda data: data.replace(b"\r\nTo:", b"\r\nList-Unsubscribe: <https://evil.test/u>\r\nTo:", 1),
        lambda data: b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" + data,
        lambda data: data.replace(b"\r\nTo:", b"\r\nList-ID: <evil.test>\r\nTo:", 1),
    ],
)
def test_a_changed_mail_fails(signer: Signer, tamper: Callable[[bytes], bytes]) -> None:
    data = compose(Text(), HEADERS, signer).data
    changed = tamper(data)

    assert changed != data
    assert not passes(changed, signer)


def test_the_signature_names_what_it_covers_and_lies_first(signer: Signer) -> None:
    first = compose(Text(), HEADERS, signer).data.partition(b"\r\nFrom:")[0].decode()
    tags = dict(one.strip().split("=", 1) for one in "".join(first.split()).partition(":")[2].split(";"))

    assert first.startswith("DKIM-Signature: v=1; ")
    assert max(map(len, first.split("\r\n"))) <= 78
    assert (
        "from:from:to:subject:date:message-id:reply-to:mime-version:content-type:"
        "list-unsubscribe:list-unsubscribe:list-unsubscribe-post:list-unsubscribe-post:list-id:list-id:feedback-id"
    ) == tags["h"]
    assert ("shop.test", "s1", signer.algorithm, "relaxed/simple", "1772366400") == tuple(tags[n] for n in "dsact")


def test_the_same_mail_is_signed_alike_each_time(signer: Signer) -> None:
    assert compose(Text(), HEADERS, signer) == compose(Text(), HEADERS, signer)


def test_a_header_that_is_not_there_is_not_named(signer: Signer) -> None:
    data = compose(Text(), replace(HEADERS, reply_to=None, list_id="", feedback_id=""), signer).data

    assert passes(data, signer)
    assert b"reply-to" not in data.partition(b"\r\nFrom:")[0]


def test_a_list_header_can_not_be_added_to_a_mail_that_has_none(signer: Signer) -> None:
    headers = replace(HEADERS, unsubscribe_url="", list_id="", message_class="transactional")
    data = compose(Text(), headers, signer).data

    assert passes(data, signer)
    assert not passes(b"List-Unsubscribe: <https://evil.test/u>\r\n" + data, signer)
    assert not passes(b"List-ID: <evil.test>\r\n" + data, signer)


BOTH = (
    Signer(domain="shop.test", selector="s1", key=RSA, algorithm="rsa-sha256"),
    Signer(domain="shop.test", selector="s2", key=Ed25519PrivateKey.generate(), algorithm="ed25519-sha256"),
)


def test_a_mail_with_two_signatures_passes_by_each() -> None:
    data = compose(Text(), HEADERS, BOTH).data

    assert passes(data, *BOTH)
    assert [b"rsa-sha256", b"ed25519-sha256"] == re.findall(rb"(?m)^DKIM-Signature: v=1; a=([a-z0-9-]+);", data)
    assert not any(holds(data.replace(b"<p>Hello", b"<p>Hallo", 1), number, *BOTH) for number in range(2))
    changed = data.replace(b"Subject: ", b"Subject: x", 1)
    assert not any(holds(changed, number, *BOTH) for number in range(2))


def test_a_second_signature_changes_no_digest() -> None:
    assert compose(Text(), HEADERS).digest == compose(Text(), HEADERS, BOTH).digest
    assert compose(Text(), HEADERS).digest == digest_of(compose(Text(), HEADERS, BOTH).data)


def test_a_fused_body_is_signed_relaxed_and_passes_when_a_relay_changed_its_blanks() -> None:
    template = written("<p>Hello  {{ city }},\n\t= x </p>", "Hi {{ city }}\n\n", subject="x")
    found = render_mail(template, {"city": "a  b"}, LinkAddresses(unsubscribe="", preferences=""))
    data = compose(found, HEADERS, BOTH).data

    assert found.is_relaxed
    assert 2 == data.count(b"; c=relaxed/relaxed;")
    assert passes(data, *BOTH)
    assert passes(data.replace(b"Hello ", b"Hello \t ", 1), *BOTH)
    assert not holds(data.replace(b"Hello ", b"Hello", 1), 0, *BOTH)


def test_a_body_that_was_encoded_as_a_whole_is_signed_as_it_is(signer: Signer) -> None:
    data = compose(Text(html="<p>two  blanks</p>"), HEADERS, signer).data

    assert b"; c=relaxed/simple;" in data
    assert passes(data, signer)


def settings(folder: Path, dkim_sections: str) -> Settings:
    (folder / "config.toml").write_text(
        '[shop]\nname = "Shop"\npostal_address = "1 Main Street"\nurl = "https://shop.test"\ncurrency = "EUR"\n'
        'timezone = "UTC"\nlanguages = ["en"]\n[sender]\nfrom = "Shop <news@shop.test>"\nallow_test_domains = true\n'
        f'[transport.main]\nkind = "outbox"\n{dkim_sections}'
    )
    return load_settings(folder, environ={"MAILER_KEY": "x" * 40})


def test_the_nearest_domain_signs_for_the_sender(tmp_path: Path) -> None:
    pem(tmp_path, RSA)
    section = '[dkim."{}"]\nselector = "{}"\nkey_file = "dkim.pem"\n'
    made = settings(tmp_path, section.format("shop.test", "s1") + section.format("News.Shop.test", "s2"))

    assert ["s1"] == [one.selector for one in signers_for(made, "shop.test")]
    assert ["s2"] == [one.selector for one in signers_for(made, "news.shop.test")]
    assert ["s2"] == [one.selector for one in signers_for(made, "a.news.shop.test")]
    assert () == signers_for(made, "workshop.test")


def test_a_domain_beyond_ascii_signs_by_its_a_labels(tmp_path: Path) -> None:
    pem(tmp_path, RSA)
    section = '[dkim."{}"]\nselector = "s1"\nkey_file = "dkim.pem"\n'.format("Bücher.example")

    (signer,) = signers_for(settings(tmp_path, section), "news.xn--bcher-kva.example")

    assert "xn--bcher-kva.example" == signer.domain


@pytest.mark.parametrize("selector", ["s1._domainkey", "s1._domainkey.shop.test", "s 1", "s1;", "s1\\nX-Evil: 1", "."])
def test_a_selector_that_is_none_is_told(tmp_path: Path, selector: str) -> None:
    pem(tmp_path, RSA)

    with pytest.raises(BadConfig, match=r"is no selector; write what stands before \._domainkey"):
        settings(tmp_path, f'[dkim."shop.test"]\nselector = "{selector}"\nkey_file = "dkim.pem"\n')


@pytest.mark.parametrize("name", ["shop.test.", "s1._domainkey.shop.test", "shop", "☃‿.test"])
def test_a_section_that_names_no_domain_is_told(tmp_path: Path, name: str) -> None:
    pem(tmp_path, RSA)
    made = settings(tmp_path, f'[dkim."{name}"]\nselector = "s1"\nkey_file = "dkim.pem"\n')

    with pytest.raises(BadConfig, match="names no domain; write the one that the sender's address ends in"):
        signers_for(made, "shop.test")


def test_a_section_with_two_keys_makes_two_signers(tmp_path: Path) -> None:
    pem(tmp_path, KEYS["ed25519-sha256"]).rename(tmp_path / "ed.pem")
    pem(tmp_path, RSA)
    section = '[dkim."shop.test"]\nselector = "s1"\nkey_file = "dkim.pem"\n'
    more = 'ed25519_selector = "s2"\ned25519_key_file = "ed.pem"\n'

    signers = signers_for(settings(tmp_path, section + more), "shop.test")

    assert [("s1", "rsa-sha256"), ("s2", "ed25519-sha256")] == [(one.selector, one.algorithm) for one in signers]
    assert passes(compose(Text(), HEADERS, signers).data, *signers)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('ed25519_selector = "s2"', "belong together"),
        ('ed25519_key_file = "ed.pem"', "belong together"),
        ('algorithm = "ed25519-sha256"\ned25519_selector = "s2"\ned25519_key_file = "ed.pem"', "first is no RSA"),
    ],
)
def test_half_a_second_signature_is_told(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(BadConfig, match=told):
        settings(tmp_path, f'[dkim."shop.test"]\nselector = "s1"\nkey_file = "dkim.pem"\n{more}\n')


# ---------------------------------------------------------------- keys


def pem(
    folder: Path,
    key: RSAPrivateKey | Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    lock: KeySerializationEncryption = NoEncryption(),  # noqa: B008
) -> Path:
    path = folder / "dkim.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    return path


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_a_key_file_makes_a_signer(tmp_path: Path, algorithm: str) -> None:
    loaded = load_signer("Shop.Test", "s1", pem(tmp_path, KEYS[algorithm]), algorithm)

    assert ("shop.test", "s1", algorithm) == (loaded.domain, loaded.selector, loaded.algorithm)


def test_a_short_rsa_key_is_refused_with_the_command_that_makes_a_right_one(tmp_path: Path) -> None:
    short = pem(tmp_path, generate_private_key(65537, 1024))

    with pytest.raises(
        BadConfig, match=r"\[dkim.shop.test\].*has 1024 bits; receivers want 2048; make one with `openssl"
    ):
        load_signer("shop.test", "s1", short)


@pytest.mark.parametrize(("held", "wanted"), [("rsa-sha256", "ed25519-sha256"), ("ed25519-sha256", "rsa-sha256")])
def test_a_key_of_the_other_kind_is_refused(tmp_path: Path, held: str, wanted: str) -> None:
    with pytest.raises(BadConfig, match=f"is no key for {wanted}"):
        load_signer("shop.test", "s1", pem(tmp_path, KEYS[held]), wanted)


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff" * 99]
)
def test_a_file_that_holds_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)

    with pytest.raises(BadConfig, match="holds no unencrypted PEM private key; make one with"):
        load_signer("shop.test", "s1", tmp_path / "k")


def test_an_encrypted_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="no unencrypted PEM"):
        load_signer("shop.test", "s1", pem(tmp_path, RSA, BestAvailableEncryption(b"x")))


def test_a_missing_key_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="can't be read: No such file"):
        load_signer("shop.test", "s1", tmp_path / "none")


def test_a_key_never_shows_in_a_printed_signer(signer: Signer) -> None:
    assert "key" not in repr(signer)
