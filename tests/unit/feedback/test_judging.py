"""Human or machine: each signal by itself, and a person who trips none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.feedback import judge
from engine.model import Hit, HitKind, Verdict

SENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
CLICK = Hit(
    kind=HitKind.CLICK,
    delivery_id="d",
    site=0,
    occurrence=0,
    at=SENT + timedelta(minutes=5),
    agent=FIREFOX,
    accept_language="fi",
)
OPEN = replace(CLICK, kind=HitKind.OPEN, site=-1)


def verdict(*hits: Hit) -> list[Verdict]:
    return [judged.verdict for judged in judge(hits, SENT)]


@pytest.mark.parametrize("hit", [CLICK, OPEN, replace(CLICK, accept_language="")])
def test_a_person_with_a_browser_is_human(hit: Hit) -> None:
    assert [Verdict.HUMAN] == verdict(hit)


@pytest.mark.parametrize(
    "hit",
    [
        replace(CLICK, method="HEAD"),
        replace(CLICK, agent="Barracuda Sentinel"),
        replace(CLICK, agent="Mozilla/5.0 (compatible; bingbot/2.0)"),
        replace(CLICK, agent="python-requests/2.32"),
        replace(CLICK, agent=""),
        replace(CLICK, at=SENT + timedelta(seconds=1)),
        replace(OPEN, agent="Mozilla/5.0"),
        replace(OPEN, agent=""),
        replace(
            OPEN,
            agent=f"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 {'Chrome/42.0.2311.135 Safari/537.36'}"
            " Edge/12.246 Mozilla/5.0",
        ),
    ],
)
def test_a_machine_is_known_by_one_signal(hit: Hit) -> None:
    assert [Verdict.MACHINE] == verdict(hit)


@pytest.mark.parametrize(
    "agent", ["Mozilla/5.0 (via ggpht.com GoogleImageProxy)", "YahooMailProxy; https://help.yahoo"]
)
def test_a_readers_proxy_is_a_reader_even_at_once(agent: str) -> None:
    assert [Verdict.HUMAN] == verdict(replace(OPEN, agent=agent, at=SENT, accept_language=""))


def test_three_links_within_two_seconds_are_a_scanner_and_so_are_all_of_them() -> None:
    clicks = [replace(CLICK, site=n, at=CLICK.at + timedelta(milliseconds=300 * n)) for n in range(3)]

    assert [Verdict.MACHINE] * 3 == verdict(*clicks)


def test_the_same_link_three_times_is_an_impatient_person() -> None:
    clicks = [replace(CLICK, at=CLICK.at + timedelta(milliseconds=300 * n)) for n in range(3)]

    assert [Verdict.HUMAN] * 3 == verdict(*clicks)


def test_a_burst_does_not_taint_a_click_an_hour_later() -> None:
    burst = [replace(CLICK, site=n) for n in range(3)]
    later = replace(CLICK, at=CLICK.at + timedelta(hours=1))

    assert [Verdict.MACHINE] * 3 + [Verdict.HUMAN] == verdict(*burst, later)


def test_a_burst_reaches_two_seconds_to_either_side(at: datetime) -> None:
    seconds = (0.0, 2.0, 4.0, 4.1)  # the second and third see three places within two seconds, the others two

    clicks = [replace(CLICK, site=n, at=at + timedelta(seconds=s)) for n, s in enumerate(seconds)]

    assert [Verdict.HUMAN, Verdict.MACHINE, Verdict.MACHINE, Verdict.HUMAN] == [
        one.verdict for one in judge(clicks, None)
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 80))))
def test_bursts_are_those_that_comparing_each_with_each_finds(found: list[tuple[int, int]]) -> None:
    clicks = [replace(CLICK, site=site, at=SENT + timedelta(seconds=9, milliseconds=100 * t)) for site, t in found]

    slowly = [
        3 <= len({other.site for other in clicks if abs(other.at - one.at) <= timedelta(seconds=2)}) for one in clicks
    ]

    assert slowly == [one.verdict is Verdict.MACHINE for one in judge(clicks, SENT)]


def test_the_reasons_are_told() -> None:
    (judged,) = judge([replace(CLICK, method="HEAD", agent="curl/8")], SENT)

    assert "HEAD request; scanner's user agent" == judged.why
