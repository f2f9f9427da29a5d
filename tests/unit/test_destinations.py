"""Which domains share one mail system, by what everybody knows and by what the owner says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Destination
from engine.destinations import GROUPS, domain_of, group_of


@pytest.mark.parametrize(
    ("domain", "group"),
    [
        ("gmail.com", "gmail"),
        ("GoogleMail.com", "gmail"),
        ("hotmail.co.uk", "microsoft"),
        ("live.se", "microsoft"),
        ("outlook.com.br", "microsoft"),
        ("yahoo.com", "yahoo"),
        ("yahoo.co.jp", "yahoo"),
        ("aol.com", "yahoo"),
        ("web.de", "gmx"),
        ("gmx.net", "gmx"),
        ("icloud.com", "apple"),
        ("bk.ru", "mailru"),
        ("yandex.com.tr", "yandex"),
        ("163.com", "netease"),
        ("o2.pl", "wp"),
        ("email.cz", "seznam"),
        ("pm.me", "proton"),
    ],
)
def test_a_big_provider_s_domains_are_one_group(domain: str, group: str) -> None:
    assert group == group_of(domain, {})


@pytest.mark.parametrize(
    "domain", ["shop.test", "live.example", "yahoo.mycompany.com", "notgmail.com", "gmail.co.evil"]
)
def test_any_other_domain_stands_for_itself(domain: str) -> None:
    assert domain == group_of(domain, {})


def test_a_configured_group_wins_over_what_is_known() -> None:
    configured = {"german": Destination(domains=("web.de", "T-Online.de"))}

    assert "german" == group_of("web.de", configured)
    assert "german" == group_of("t-online.DE", configured)
    assert "gmx" == group_of("gmx.de", configured)


def test_no_domain_is_in_two_groups() -> None:
    domains = [domain for some in GROUPS.values() for domain in some.split()]

    assert len(set(domains)) == len(domains)


def test_the_domain_of_an_address_follows_its_last_at_sign() -> None:
    assert "shop.test" == domain_of('"a@b"@Shop.TEST')
    assert "" == domain_of("")


@given(st.text(alphabet="abc.-Z", max_size=20))
def test_a_group_of_a_group_s_own_name_is_stable(domain: str) -> None:
    group = group_of(domain, {})

    assert group == group_of(domain.upper(), {})
    assert group == group.lower()
