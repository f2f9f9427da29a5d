"""Signatures, checked by dkimpy: the right mail passes, any change that matters does not."""

import base64
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

from engine.errors import BadConfig
from engine.message.dkim import Signer, load_signer
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
KEYS = {"rsa-sha256": RSA, "ed25519-sha256": Ed25519PrivateKey.generate()}


@dataclass
class Text:
    subject: str = "Grüße — " + "and more words to fold " * 6
    html: str = "<p>Hello</p>\n" * 50
    text: str = "Hello\n\n"


@pytest.fixture(params=list(KEYS))
def signer(request: pytest.FixtureRequest) -> Signer:
    return Signer(domain="shop.test", selector="s1", key=KEYS[request.param], algorithm=request.param)


def dns(signer: Signer) -> Callable[..., bytes]:
    public = signer.key.public_key()
    if isinstance(signer.key, RSAPrivateKey):
        kind, raw = b"rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, raw = b"ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    record = b"v=DKIM1; k=" + kind + b"; p=" + base64.b64encode(raw)

    def answer(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.shop.test."
        return record

    return answer


def passes(data: bytes, signer: Signer) -> bool:
    return bool(dkim.verify(data, dnsfunc=dns(signer)))


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
        "list-unsubscribe:list-unsubscribe-post:list-id:feedback-id"
    ) == tags["h"]
    assert ("shop.test", "s1", signer.algorithm, "relaxed/simple", "1772366400") == tuple(tags[n] for n in "dsact")


def test_the_same_mail_is_signed_alike_each_time(signer: Signer) -> None:
    assert compose(Text(), HEADERS, signer) == compose(Text(), HEADERS, signer)


def test_a_header_that_is_not_there_is_not_named(signer: Signer) -> None:
    data = compose(Text(), replace(HEADERS, reply_to=None, list_id="", feedback_id=""), signer).data

    assert passes(data, signer)
    assert b"reply-to" not in data.partition(b"\r\nFrom:")[0]


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
