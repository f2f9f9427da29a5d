from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.campaign import (
    Draft,
    OwnTime,
    PlanOptions,
    Quietness,
    drift,
    is_held_out,
    plan,
    prior_of,
    shares_of,
    summarise,
    variant_for,
)
from engine.campaign.assign import full_shares
from engine.config import Limits
from engine.links import Keys
from engine.model import (
    Campaign,
    Candidate,
    EntryState,
    Picks,
    PlanEntry,
    Profile,
    Standing,
    TrackingMode,
    Variant,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = Keys(b"a secret of the tests, long enough for it")
OPTIONS = PlanOptions(
    at=AT, occurrence="once", keys=KEYS, zone=ZoneInfo("UTC"), tracking_mode=TrackingMode.INDIVIDUAL_WITH_CONSENT
)


# Contact 9 got all that the caps allow, and gets no more for ten days.
CAPPED = replace(OPTIONS, room_from=lambda contact_id, _class, due: AT + timedelta(days=10) if contact_id == 9 else due)


def campaign(**changes: object) -> Campaign:
    plain = Campaign(
        name="spring",
        segment="loyal",
        where=None,
        exclude=None,
        goal="order",
        window=timedelta(days=14),
        holdout=0.0,
        send_at="now",
        variants=(Variant(name="main", share=1.0, template="thanks"),),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


TWO = (Variant(name="a", share=0.7, template="ta"), Variant(name="b", share=0.3, template="tb"))


def person(contact_id: int = 1, *, suppressed: bool = False, key: str | None = "", **profile: object) -> Candidate:
    email = f"c{contact_id}@shop.test"
    given_profile = {"email": email, "mailing_consent": True, "tracking_consent": True, **profile}
    return Candidate(
        profile=Profile(contact_id=contact_id, **given_profile),  # type: ignore[arg-type]
        picks=Picks(),
        standing=Standing(
            suppressed=suppressed,
            mailing_consent=given_profile["mailing_consent"],  # type: ignore[arg-type]
            tracking_consent=given_profile["tracking_consent"],  # type: ignore[arg-type]
            address_key=email if key == "" else key,
        ),
    )


def draft(variant: Variant, candidate: Candidate) -> Draft:
    """Complete, but for those without a given name."""
    missing = "" if candidate.profile.given_name != "?" else "given_name is missing in en.mjml:3"
    return Draft(language="en", template_hash=f"hash of {variant.template}", context={"x": 1}, missing=missing)


def planned(wanted: Campaign, *people: Candidate, options: PlanOptions = OPTIONS) -> list[PlanEntry]:
    return list(plan(wanted, people, draft, options))


def test_an_eligible_contact_gets_a_message_with_all_that_rendering_needs() -> None:
    assert [
        PlanEntry(
            contact_id=1,
            email="c1@shop.test",
            state=EntryState.MESSAGE,
            variant="main",
            language="en",
            template_hash="hash of thanks",
            send_at=AT,
            tracked=True,
            context={"x": 1},
        )
    ] == planned(campaign(), person())


OVER = {"expires": AT}


@pytest.mark.parametrize(
    ("candidate", "changes", "reason"),
    [
        (person(email=None, suppressed=True), {}, "no_address"),
        (person(key=None), {}, "no_address"),
        (person(suppressed=True, mailing_consent=None), {}, "suppressed"),
        (person(mailing_consent=None, age=9), {}, "no_consent"),
        (person(mailing_consent=False), {}, "no_consent"),
        (person(9, age=15), {}, "minor"),
        (person(9), OVER, "expired"),
        (person(9, given_name="?"), {"window": timedelta(days=10)}, "capped"),
        (person(given_name="?"), {}, "missing_data"),
    ],
)
def test_the_first_reason_against_a_message_is_the_one_that_is_told(
    candidate: Candidate, changes: dict[str, object], reason: str
) -> None:
    (entry,) = planned(campaign(**changes), candidate, options=CAPPED)

    assert (EntryState.SKIPPED, reason, None) == (entry.state, entry.reason, entry.send_at)


def test_who_stands_just_inside_every_limit_gets_a_message() -> None:
    wanted = campaign(expires=AT + timedelta(microseconds=1))

    (entry,) = planned(wanted, person(age=16), options=CAPPED)

    assert EntryState.MESSAGE is entry.state


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"window": timedelta(days=10)}, "skipped"),
        ({"window": timedelta(days=10, seconds=1)}, "message"),
        ({"expires": AT + timedelta(days=10)}, "skipped"),
        ({"expires": AT + timedelta(days=11)}, "message"),
        ({"max_lateness": timedelta(days=9)}, "skipped"),
    ],
)
def test_who_got_enough_is_planned_if_there_is_room_for_her_before_the_campaign_ends(
    changes: dict[str, object], state: str
) -> None:
    (entry,) = planned(campaign(**changes), person(9), options=CAPPED)

    assert state == entry.state


def test_transactional_messages_need_no_consent_and_know_no_cap_but_respect_suppression() -> None:
    wanted = campaign(message_class="transactional")
    people = (person(9, mailing_consent=None), person(2, suppressed=True))

    entries = planned(wanted, *people, options=CAPPED)

    assert [("message", ""), ("skipped", "suppressed")] == [(one.state, one.reason) for one in entries]


def test_every_class_but_transactional_needs_consent() -> None:
    (entry,) = planned(campaign(message_class="newsletter"), person(mailing_consent=None))

    assert "no_consent" == entry.reason


def test_one_mailbox_gets_one_message_and_an_ineligible_contact_does_not_take_its_place() -> None:
    people = (person(1, key="k", mailing_consent=False), person(2, key="k"), person(3, key="k"))

    entries = planned(campaign(), *people)

    assert ["no_consent", "", "duplicate"] == [one.reason for one in entries]


def test_missing_data_is_told_in_words() -> None:
    (entry,) = planned(campaign(), person(given_name="?"))

    assert "given_name is missing in en.mjml:3" == entry.detail


def test_a_holdout_has_a_planned_time_and_nothing_to_render() -> None:
    entries = planned(campaign(holdout=0.5), *(person(n) for n in range(1, 40)))

    held = [one for one in entries if one.state is EntryState.HOLDOUT]
    assert 5 < len(held) < 34
    assert {(AT, "", "", False)} == {(one.send_at, one.variant, one.template_hash, one.tracked) for one in held}
    assert all(not one.context for one in held)


def test_a_missing_value_skips_would_be_holdouts_like_everybody_else() -> None:
    entries = planned(campaign(holdout=0.5), *(person(n, given_name="?") for n in range(1, 40)))

    assert {"missing_data"} == {one.reason for one in entries}


def test_a_would_be_holdout_is_tried_with_the_variant_she_would_have_got() -> None:
    tried: dict[int, str] = {}

    def watch(variant: Variant, candidate: Candidate) -> Draft:
        tried[candidate.profile.contact_id] = variant.name
        return draft(variant, candidate)

    wanted = campaign(holdout=0.5, variants=TWO)
    list(plan(wanted, [person(n) for n in range(1, 40)], watch, OPTIONS))

    assert tried == {n: variant_for(wanted, n, OPTIONS).name for n in range(1, 40)}
    assert {"a", "b"} == set(tried.values())


@pytest.mark.parametrize(
    ("mode", "consent", "expected"),
    [
        (TrackingMode.INDIVIDUAL_WITH_CONSENT, True, True),
        (TrackingMode.INDIVIDUAL_WITH_CONSENT, None, False),
        (TrackingMode.INDIVIDUAL_WITH_CONSENT, False, False),
        (TrackingMode.AGGREGATE, True, False),
        (TrackingMode.OFF, True, False),
    ],
)
def test_only_consent_and_mode_together_allow_tracking(
    mode: TrackingMode, consent: bool | None, expected: bool
) -> None:
    (entry,) = planned(campaign(), person(tracking_consent=consent), options=replace(OPTIONS, tracking_mode=mode))

    assert expected is entry.tracked


def test_a_local_hour_comes_to_each_in_her_own_zone_on_one_date() -> None:
    people = (person(1, country="FI"), person(2, country="US", region="CA"), person(3))

    entries = planned(campaign(send_at="09:00 local"), *people)

    assert [datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (7, 17, 9)] == [one.send_at for one in entries]


def test_those_who_get_nothing_do_not_move_the_date() -> None:
    people = (person(1, country="US", region="CA"), person(2, country="FI", mailing_consent=False))

    entries = planned(campaign(send_at="09:00 local"), *people)

    assert datetime(2026, 3, 1, 17, tzinfo=UTC) == entries[0].send_at


def test_people_that_can_be_walked_through_only_once_are_planned_alike() -> None:
    people = [person(1, country="FI"), person(2, country="US", region="CA")]
    wanted = campaign(send_at="09:00 local")

    assert planned(wanted, *people) == list(plan(wanted, iter(people), draft, OPTIONS))


def test_people_are_taken_one_by_one_when_the_hour_asks_for_nobody_else() -> None:
    taken: list[int] = []

    def stream() -> Iterator[Candidate]:
        for n in range(1, 4):
            taken.append(n)
            yield person(n)

    next(plan(campaign(), stream(), draft, OPTIONS))

    assert [1] == taken


def test_a_campaign_that_ends_before_her_hour_comes_skips_her_alone() -> None:
    wanted = campaign(send_at="2026-03-02 09:00 local", expires=datetime(2026, 3, 2, 12, tzinfo=UTC))

    entries = planned(wanted, person(1, country="FI"), person(2, country="US", region="CA"))

    assert ["", "expired"] == [one.reason for one in entries]


_PEOPLE = st.lists(
    st.builds(
        person,
        st.integers(1, 60),
        suppressed=st.booleans(),
        key=st.sampled_from(["", "", "shared", None]),
        age=st.sampled_from([None, 12, 40]),
        mailing_consent=st.sampled_from([True, True, None, False]),
        given_name=st.sampled_from([None, "?", "Ann"]),
    ),
    max_size=30,
)


@given(people=_PEOPLE, holdout=st.floats(0, 0.9))
def test_audience_is_messages_and_holdout_and_everybody_skipped(people: list[Candidate], holdout: float) -> None:
    entries = planned(campaign(holdout=holdout, variants=TWO), *people, options=CAPPED)

    summary = summarise(entries)

    assert len(people) == summary["audience"] == len(entries)
    assert summary["audience"] == summary["messages"] + summary["holdout"] + sum(summary["skipped"].values())
    assert summary["messages"] == sum(summary["variants"].values())


def test_a_summary_counts_by_reason_and_variant() -> None:
    people = (
        person(1),
        person(2),
        person(3, mailing_consent=None),
        person(4, suppressed=True),
        person(5, suppressed=True),
    )

    assert {
        "audience": 5,
        "messages": 2,
        "holdout": 0,
        "skipped": {"no_consent": 1, "suppressed": 2},
        "variants": {"main": 2},
    } == summarise(planned(campaign(), *people))


@given(people=_PEOPLE, left_out=st.integers(0, 29))
def test_nobodys_draw_moves_when_somebody_else_leaves(people: list[Candidate], left_out: int) -> None:
    unique = list({one.profile.contact_id: replace(one, standing=person().standing) for one in people}.values())
    alone = [replace(one, standing=replace(one.standing, address_key=str(n))) for n, one in enumerate(unique)]
    wanted = campaign(holdout=0.4, variants=TWO)

    everybody = {one.contact_id: one for one in planned(wanted, *alone)}
    fewer = planned(wanted, *(alone[:left_out] + alone[left_out + 1 :]))

    assert all(everybody[one.contact_id] == one for one in fewer)


def test_shares_and_holdout_come_out_as_asked() -> None:
    wanted = campaign(holdout=0.1, variants=TWO)

    entries = planned(wanted, *(person(n) for n in range(1, 10_001)))

    # Standard errors: 30 contacts of the holdout, 44 of variant a.
    summary = summarise(entries)
    assert 1000 == pytest.approx(summary["holdout"], abs=120)
    assert 9000 * 0.7 == pytest.approx(summary["variants"]["a"], abs=180)


def test_the_variant_does_not_depend_on_the_holdout() -> None:
    small, large = campaign(holdout=0.1, variants=TWO), campaign(holdout=0.6, variants=TWO)

    held = [n for n in range(2000) if is_held_out(large, "once", n, KEYS)]

    assert [variant_for(small, n, OPTIONS) for n in held] == [variant_for(large, n, OPTIONS) for n in held]
    share = sum(variant_for(large, n, OPTIONS).name == "a" for n in held) / len(held)
    assert 0.7 == pytest.approx(share, abs=0.06)
    assert {n for n in range(2000) if is_held_out(small, "once", n, KEYS)} < set(held)


def test_another_occurrence_draws_anew() -> None:
    wanted = campaign(holdout=0.5)

    first, second = ([is_held_out(wanted, name, n, KEYS) for n in range(400)] for name in ("once", "again"))

    assert 100 < sum(one != other for one, other in zip(first, second, strict=True)) < 300


@given(
    given_shares=st.lists(st.one_of(st.none(), st.floats(0.01, 0.09)), min_size=1, max_size=10).filter(
        lambda s: None in s
    )
)
def test_open_shares_divide_what_is_left(given_shares: list[float | None]) -> None:
    shares = full_shares(given_shares)

    assert 1 == pytest.approx(sum(shares))
    assert all(share > 0 for share in shares)
    assert all(asked in (None, got) for asked, got in zip(given_shares, shares, strict=True))
    assert 1 == len({got for asked, got in zip(given_shares, shares, strict=True) if asked is None})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([], [], 0.0),
        ([1, 2], [2, 1], 0.0),
        ([1, 2, 3, 4], [1, 2, 3], 0.25),
        ([1, 2, 3], [1, 2, 3, 4], 0.25),
        ([1, 2, 3], [2, 3, 4], 0.5),
        ([], [1], 1.0),
        ([1], [2], 1.0),
    ],
)
def test_drift_is_the_share_of_all_who_joined_or_left(old: list[int], new: list[int], expected: float) -> None:
    assert expected == drift(old, new)


# ---------------------------------------------------------------- everybody's own time

QUIET = Quietness.of(Limits.model_validate({"quiet": {"hours": "21:00-08:00"}, "quiet_in": {"DE": {"hours": ""}}}))
EVENINGS = shares_of([9 if hour == 19 else 0 for hour in range(24)], prior_of(bytes(24)))
OWN_TIME = replace(
    OPTIONS, time=OwnTime(shop_zone=ZoneInfo("UTC"), quiet=QUIET, habit_of=lambda _contact_id, _zone: EVENINGS)
)


def due(entry: PlanEntry) -> str:
    assert entry.send_at is not None
    return f"{entry.send_at:%m-%d %H:%M}"


def test_a_message_is_planned_for_the_first_legal_moment_of_its_recipient() -> None:
    wanted = campaign(send_at="2026-03-02T19:30Z")
    people = (person(1, country="FI"), person(2, country="DE"), person(3, country="US", region="NY"))

    # 21:30 in Helsinki waits for 8 o'clock there; Germany has no quiet hours, and in New York it is afternoon.
    assert ["03-03 06:00", "03-02 19:30", "03-02 19:30"] == [
        due(entry) for entry in planned(wanted, *people, options=OWN_TIME)
    ]


def test_what_is_owed_is_planned_for_its_hour_whatever_the_clock_shows() -> None:
    wanted = campaign(send_at="2026-03-02T19:30Z", message_class="transactional")

    assert ["03-02 19:30"] == [due(entry) for entry in planned(wanted, person(1, country="FI"), options=OWN_TIME)]


def test_whose_quiet_hours_end_after_the_campaign_is_left_out_as_expired() -> None:
    wanted = campaign(send_at="2026-03-02T19:30Z", expires=datetime(2026, 3, 3, 6, tzinfo=UTC))
    people = (person(1, country="FI"), person(2, country="DE"))

    assert ["expired", ""] == [entry.reason for entry in planned(wanted, *people, options=OWN_TIME)]


@pytest.mark.parametrize(
    ("send_at", "expected"),
    [("best hour", "03-01 17:30"), ("2026-03-05 best hour", "03-05 17:30"), ("2026-02-05 best hour", "03-01 12:00")],
)
def test_a_best_hour_is_each_contacts_own(send_at: str, expected: str) -> None:
    (entry,) = planned(campaign(send_at=send_at), person(1, country="FI"), options=OWN_TIME)

    assert expected == due(entry)


def test_variants_may_be_sent_at_hours_of_their_own_and_who_is_held_out_has_that_of_hers() -> None:
    arms = tuple(replace(one, send_at=hour) for one, hour in zip(TWO, ("10:00 local", "best hour"), strict=True))
    people = [person(number, country="FI") for number in range(60)]

    entries = planned(campaign(variants=arms, holdout=0.4), *people, options=OWN_TIME)

    hour_of = {"a": "03-02 08:00", "b": "03-01 17:30"}
    drawn = {
        one.profile.contact_id: variant_for(campaign(variants=arms), one.profile.contact_id, OWN_TIME) for one in people
    }
    assert {"holdout", "message"} == {str(entry.state) for entry in entries}
    assert {"a", "b"} == {one.name for one in drawn.values()}
    assert [hour_of[drawn[entry.contact_id].name] for entry in entries] == [due(entry) for entry in entries]
