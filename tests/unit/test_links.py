"""Tokens and draws: signed, stable, one purpose each."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import links
from engine.links import Keys, Purpose

KEYS = Keys(b"s" * 40)


def test_a_token_opens_only_its_own_purpose() -> None:
    delivery = KEYS.delivery_id("spring", "once", 7)
    tokens = KEYS.tokens(delivery)
    by_purpose = {
        Purpose.OPEN: tokens.open,
        Purpose.CLICK: tokens.click,
        Purpose.UNSUBSCRIBE: tokens.unsubscribe,
        Purpose.VIEW: tokens.view,
    }

    read = {(made, asked): KEYS.read(token, asked) for made, token in by_purpose.items() for asked in Purpose}

    assert {(p, p): delivery for p in Purpose} == {pair: got for pair, got in read.items() if got}


@given(st.integers(0, 42), st.sampled_from("ABCabc-_09"))
def test_a_token_changed_anywhere_is_refused(place: int, letter: str) -> None:
    token = KEYS.tokens(KEYS.delivery_id("spring", "once", 7)).unsubscribe
    changed = token[:place] + letter + token[place + 1 :]

    assert (changed == token) == (KEYS.read(changed, Purpose.UNSUBSCRIBE) is not None)


@pytest.mark.parametrize("nonsense", ["", "x", "é" * 43, "=" * 43, "A" * 43, "A" * 44, "\0" * 43])
def test_nonsense_is_no_token(nonsense: str) -> None:
    assert KEYS.read(nonsense, Purpose.CLICK) is None


def test_links_of_an_old_key_still_read_after_rotation() -> None:
    old = Keys(b"o" * 40)
    token = old.tokens(old.delivery_id("spring", "once", 7)).unsubscribe

    rotated = Keys(b"n" * 40, old=(b"o" * 40,))

    assert old.delivery_id("spring", "once", 7) == rotated.read(token, Purpose.UNSUBSCRIBE)


def test_delivery_ids_do_not_run_together() -> None:
    assert KEYS.delivery_id("a", "b1", 2) != KEYS.delivery_id("ab", "1", 2)
    assert KEYS.delivery_id("a", "b", 12) != KEYS.delivery_id("a", "b1", 2)


def test_draws_are_even_and_stable() -> None:
    draws = [KEYS.draw("spring/holdout", n) for n in range(20_000)]

    assert 1900 < sum(d < 0.1 for d in draws) < 2100  # 2,000 expected, standard deviation 42
    assert draws[:5] == [KEYS.draw("spring/holdout", n) for n in range(5)]


def test_a_campaign_link_is_signed_for_its_place() -> None:
    tag = KEYS.campaign_tag(3, "discount", 1)

    assert KEYS.is_campaign_tag(tag, 3, "discount", 1)
    assert not KEYS.is_campaign_tag(tag, 3, "discount", 2)


@given(st.binary(max_size=300))
def test_a_tag_is_the_hmac_of_what_it_is_about(said: bytes) -> None:
    for algorithm in ("sha256", "sha512"):
        assert hmac.digest(b"k" * 32, said, algorithm) == links._Hmac(b"k" * 32, algorithm).of(said)


@given(st.binary(min_size=15, max_size=15))
def test_a_delivery_id_is_base32_in_small_letters_and_reads_back(raw: bytes) -> None:
    spelt = base64.b32encode(raw).decode().lower()

    assert spelt == links._spelt(raw)
    assert raw == links._octets(spelt) == links._octets(spelt.upper())


@pytest.mark.parametrize("nonsense", ["a" * 23, "0" * 24, "a" * 23 + "!", "é" * 12, "a_" * 12, " " + "a" * 23])
def test_nonsense_is_no_delivery_id(nonsense: str) -> None:
    with pytest.raises(ValueError, match=r"padding|base32|ASCII"):
        KEYS.tokens(nonsense)


def test_what_was_made_once_is_made_again() -> None:
    """Links and suppressions live for ever: these were made by the first version."""
    delivery = KEYS.delivery_id("spring", "once", 7)

    assert "5zarkynuzystzxkidpwgjvsp" == delivery
    assert "Ju5BFWG0ziU83Ugb7GTWT9j-rWp6ufMFo3LFQqQIoDs" == KEYS.tokens(delivery).unsubscribe
    assert "feb9399d9e47092ec5c7282d5e1494900fb95ef1" == KEYS.address_hash("ann@example.test")
    assert 0.07319340676894927 == KEYS.draw("salt", 7)
