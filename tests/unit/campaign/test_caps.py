from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.campaign import Allowance
from engine.config import Limits

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
SPANS = {
    "messages_per_day": timedelta(days=1),
    "messages_per_7_days": timedelta(days=7),
    "messages_per_30_days": timedelta(days=30),
}
PLENTY = 1000


def allowance(**limits: Any) -> Allowance:
    return Allowance.of(Limits.model_validate(limits))


def ago(*hours: float, of: str = "marketing") -> list[tuple[datetime, str]]:
    return [(NOW - timedelta(hours=one), of) for one in hours]


@pytest.mark.parametrize(("key", "span"), SPANS.items())
def test_a_message_leaves_each_window_exactly_when_that_is_over(key: str, span: timedelta) -> None:
    capped, sent = allowance(**{key: 1}), [(NOW, "marketing")]

    assert 0 == capped.room("marketing", sent, NOW + span - timedelta(microseconds=1))
    assert 1 == capped.room("marketing", sent, NOW + span)
    assert NOW + span == capped.next_room("marketing", sent, NOW + timedelta(hours=1))


def test_each_class_has_its_own_caps_beside_those_of_all_together() -> None:
    capped = allowance(messages_per_7_days=3, **{"class": {"newsletter": {"messages_per_7_days": 1}}})
    sent = ago(30, of="newsletter") + ago(20)

    assert 1 == capped.room("marketing", sent, NOW)
    assert 0 == capped.room("newsletter", sent, NOW)
    assert "[limits.class.newsletter] messages_per_7_days = 1" == capped.blocking("newsletter", sent, NOW)
    assert "[limits] messages_per_7_days = 3" == capped.blocking("newsletter", [*sent, *ago(10)], NOW)
    assert "" == capped.blocking("marketing", sent, NOW)


def test_a_class_with_caps_of_its_own_may_be_the_only_one_capped() -> None:
    capped = allowance(**{"class": {"newsletter": {"messages_per_day": 1}}})

    assert capped.concerns("newsletter")
    assert not capped.concerns("marketing")
    assert capped.room("marketing", ago(1, 2, 3), NOW) > PLENTY


def test_a_class_that_is_named_without_a_cap_has_those_of_all() -> None:
    assert 0 == allowance(messages_per_day=1, **{"class": {"newsletter": {}}}).room("newsletter", ago(1), NOW)


def test_what_is_owed_is_neither_capped_nor_counted() -> None:
    capped = allowance(messages_per_day=1)

    assert not capped.concerns("transactional")
    assert capped.room("transactional", ago(1), NOW) > PLENTY
    assert NOW == capped.next_room("transactional", ago(1), NOW)
    assert 1 == capped.room("marketing", ago(1, of="transactional"), NOW)


def test_without_caps_nothing_is_capped() -> None:
    assert not allowance().concerns("marketing")
    assert allowance().room("marketing", ago(*range(50)), NOW) > PLENTY
    assert NOW == allowance().next_room("marketing", ago(*range(50)), NOW)


_CLASSES = st.sampled_from(["marketing", "newsletter", "transactional"])
_CAPS = st.fixed_dictionaries({key: st.integers(0, 4) for key in SPANS})
# Many of them exactly a window ago: there it is decided.
_HOURS = st.one_of(st.integers(-30, 800), st.sampled_from([0, 24, 168, 720]))
_SENT = st.lists(st.tuples(_HOURS.map(lambda hours: NOW - timedelta(hours=hours)), _CLASSES), max_size=9)


@given(together=_CAPS, newsletter=_CAPS, sent=_SENT, asked=_CLASSES)
def test_there_is_room_for_as_many_as_every_window_still_holds(
    together: dict[str, int], newsletter: dict[str, int], sent: list[tuple[datetime, str]], asked: str
) -> None:
    capped = allowance(**together, **{"class": {"newsletter": newsletter}})

    left = _left(together, newsletter, sent, asked, NOW)

    assert max(0, min(left, default=PLENTY)) == min(PLENTY, capped.room(asked, sent, NOW))
    assert bool(left) == capped.concerns(asked)
    assert bool(capped.blocking(asked, sent, NOW)) == (min(left, default=1) <= 0)


@given(together=_CAPS, newsletter=_CAPS, sent=_SENT, asked=_CLASSES)
def test_the_next_room_is_the_first(
    together: dict[str, int], newsletter: dict[str, int], sent: list[tuple[datetime, str]], asked: str
) -> None:
    sent = [(moment, of) for moment, of in sent if moment <= NOW]
    capped = allowance(**together, **{"class": {"newsletter": newsletter}})

    free = capped.next_room(asked, sent, NOW)

    assert capped.room(asked, sent, free) > 0
    assert free == NOW or capped.room(asked, sent, free - timedelta(microseconds=1)) == 0


def _left(
    together: dict[str, int], newsletter: dict[str, int], sent: list[tuple[datetime, str]], asked: str, at: datetime
) -> list[int]:
    """What each window that is capped still holds, counted one by one."""
    if asked == "transactional":
        return []
    scopes = [(together, ["marketing", "newsletter"])] + [(newsletter, ["newsletter"])] * (asked == "newsletter")
    return [
        most - sum(at - SPANS[key] < moment <= at for moment, of in sent if of in counted)
        for caps, counted in scopes
        for key, most in caps.items()
        if most
    ]
