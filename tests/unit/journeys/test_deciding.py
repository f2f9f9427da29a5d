"""What is next for somebody in a journey: every kind of step, by hand; and what holds for all journeys, at random."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journeys.deciding import Move, Passed, Place, Sight, decide
from engine.journeys.definition import (
    Arm,
    Branch,
    Journey,
    Leave,
    Send,
    Split,
    SplitArm,
    Start,
    StartKind,
    Step,
    Tag,
    Wait,
    WaitEvent,
    Webhook,
)
from engine.model import EnrolmentState, with_tags

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HELSINKI = ZoneInfo("Europe/Helsinki")


@dataclass
class Seen:
    """What is known of somebody, said by a test."""

    rules: set[str] = field(default_factory=set)
    clicks: set[str] = field(default_factory=set)
    opens: set[str] = field(default_factory=set)
    events: list[tuple[str, datetime]] = field(default_factory=list)
    point: float = 0.0
    slot: datetime | None = None
    legal: datetime | None = None

    def holds(self, rule: str, tags: Sequence[Tag]) -> bool:
        """A rule is known to hold, or asks for the tag that it names."""
        return rule in self.rules or rule in with_tags((), tags)

    def sight(self) -> Sight:
        return Sight(
            zone=HELSINKI,
            holds=self.holds,
            clicked=lambda step: step in self.clicks,
            opened=lambda step: step in self.opens,
            came=lambda kind, since: any(kind == one and at > since for one, at in self.events),
            draw=lambda _step: self.point,
            slot=lambda _step, at: self.slot or at,
            legal=lambda _step, at: max(at, self.legal or at),
        )


def journey(*steps: Step, goal: str = "order", max_lateness: timedelta | None = None) -> Journey:
    start = Start(kind=StartKind.HAND)
    return Journey(name="welcome", start=start, steps=steps, goal=goal, max_lateness=max_lateness)


def place(step: str, *, due_at: datetime = AT, waiting: bool = False, step_at: datetime = AT) -> Place:
    return Place(step=step, visit=0, entered_at=AT - DAY, step_at=step_at, due_at=due_at, waiting=waiting)


def results(move: Move) -> list[tuple[str, str, str]]:
    return [(one.step, one.result, one.to) for one in move.passed]


def test_a_branch_sees_the_tag_that_was_set_just_before_it_and_not_one_that_was_taken_away() -> None:
    branch = Branch(id="which", arms=(Arm(to="b", where="old"), Arm(to="a", where="new")))
    marks = (Tag(id="mark", tag="new"), Tag(id="old", tag="old"), Tag(id="not", tag="old", remove=True))

    move = decide(journey(*marks, branch, Leave(id="b"), Leave(id="a")), place("mark"), Seen().sight(), AT)

    assert ("which", "2", "a") in results(move)


def test_it_runs_on_to_the_first_step_that_must_wait() -> None:
    steps = (Send(id="hello", template="a"), Tag(id="mark", tag="new"), Wait(id="rest", span=3 * DAY))

    move = decide(journey(*steps), place("hello"), Seen().sight(), AT)

    assert [("hello", "sent", "mark"), ("mark", "tagged", "rest")] == results(move)
    assert [("hello", 0), ("mark", 1)] == [(one.step.id, one.visit) for one in move.effects]
    assert (EnrolmentState.WAITING, "rest", 2, AT + 3 * DAY) == (
        move.state,
        move.place.step,
        move.place.visit,
        move.place.due_at,
    )


def test_a_timer_that_rang_takes_her_on() -> None:
    steps = (Wait(id="rest", span=3 * DAY), Send(id="story", template="b"))

    move = decide(journey(*steps), place("rest", waiting=True, due_at=AT), Seen().sight(), AT)

    assert ([("rest", "waited", "story"), ("story", "sent", "end")], EnrolmentState.DONE) == (results(move), move.state)


def test_woken_before_her_timer_rings_she_goes_on_waiting_for_the_same_hour() -> None:
    there = place("rest", waiting=True, due_at=AT + HOUR, step_at=AT - DAY)

    move = decide(journey(Wait(id="rest", span=3 * DAY)), there, Seen().sight(), AT)

    assert (EnrolmentState.WAITING, there, ()) == (move.state, move.place, move.passed)


def test_until_an_hour_is_by_her_own_clock() -> None:
    move = decide(journey(Wait(id="rest", until="tue 09:00 local")), place("rest"), Seen().sight(), AT)

    assert datetime(2026, 3, 3, 7, tzinfo=UTC) == move.place.due_at


def test_the_goal_ends_it_before_anything_is_sent() -> None:
    bought = Seen(events=[("order", AT - HOUR)])

    move = decide(journey(Send(id="hello", template="a")), place("hello"), bought.sight(), AT)

    assert (EnrolmentState.GOAL, "order", (), ()) == (move.state, move.reason, move.passed, move.effects)


def test_what_brought_her_in_is_not_the_goal() -> None:
    bought = Seen(events=[("order", AT - DAY)])  # the moment of her entry

    move = decide(journey(Send(id="hello", template="a")), place("hello"), bought.sight(), AT)

    assert EnrolmentState.DONE == move.state


WAIT_EVENT = WaitEvent(id="wait", event="event:paid", at_most=2 * DAY, then="thanks", otherwise="remind")
AFTER = (Send(id="thanks", template="a", to="end"), Send(id="remind", template="b"))


def test_an_awaited_event_takes_her_one_way() -> None:
    paid = Seen(events=[("event:paid", AT - HOUR)])
    there = place("wait", waiting=True, due_at=AT + DAY, step_at=AT - 2 * HOUR)

    move = decide(journey(WAIT_EVENT, *AFTER), there, paid.sight(), AT)

    assert [("wait", "event", "thanks"), ("thanks", "sent", "end")] == results(move)


def test_its_deadline_takes_her_the_other() -> None:
    there = place("wait", waiting=True, due_at=AT, step_at=AT - 2 * DAY)

    move = decide(journey(WAIT_EVENT, *AFTER), there, Seen().sight(), AT)

    assert [("wait", "deadline", "remind"), ("remind", "sent", "end")] == results(move)


def test_an_event_before_she_came_to_the_step_is_not_the_awaited_one() -> None:
    paid = Seen(events=[("event:paid", AT - HOUR)])

    move = decide(journey(WAIT_EVENT, *AFTER), place("wait"), paid.sight(), AT)

    assert (EnrolmentState.WAITING, AT + 2 * DAY) == (move.state, move.place.due_at)


@pytest.mark.parametrize(
    ("seen", "way"),
    [
        (Seen(rules={"orders_count > 1"}), ("1", "vip")),
        (Seen(clicks={"hello"}), ("2", "warm")),
        (Seen(opens={"hello"}), ("3", "cold")),
        (Seen(), ("none", "vip")),
    ],
)
def test_the_first_arm_that_holds_is_taken(seen: Seen, way: tuple[str, str]) -> None:
    arms = (
        Arm(where="orders_count > 1", to="vip"),
        Arm(clicked="hello", to="warm"),
        Arm(opened="hello", to="cold"),
    )
    steps = (Branch(id="fork", arms=arms), *(Leave(id=name) for name in ("vip", "warm", "cold")))

    move = decide(journey(*steps), place("fork"), seen.sight(), AT)

    assert Passed(step="fork", visit=0, result=way[0], to=way[1]) == move.passed[0]


@pytest.mark.parametrize(("point", "arm"), [(0.0, "a"), (0.29, "a"), (0.3, "b"), (0.9999999, "b")])
def test_a_split_goes_by_her_draw(point: float, arm: str) -> None:
    arms = (SplitArm(name="a", share=0.3, to="end"), SplitArm(name="b", share=0.7, to="end"))

    move = decide(journey(Split(id="try", arms=arms)), place("try"), Seen(point=point).sight(), AT)

    assert [("try", arm, "end")] == results(move)


def test_leaving_says_why() -> None:
    move = decide(journey(Leave(id="out", reason="too quiet")), place("out"), Seen().sight(), AT)

    assert (EnrolmentState.LEFT, "too quiet") == (move.state, move.reason)


def test_a_mail_waits_for_its_hour_and_goes_when_that_has_come() -> None:
    seen, steps = Seen(slot=AT + HOUR), journey(Send(id="hello", template="a"))

    first = decide(steps, place("hello"), seen.sight(), AT)
    assert (EnrolmentState.WAITING, AT + HOUR, ()) == (first.state, first.place.due_at, first.effects)
    then = decide(steps, first.place, Seen(slot=AT + DAY).sight(), AT + HOUR)
    assert (EnrolmentState.DONE, 1) == (then.state, len(then.effects))


def test_an_hour_that_has_become_quiet_puts_the_mail_off() -> None:
    rung = place("hello", waiting=True, due_at=AT)

    move = decide(journey(Send(id="hello", template="a")), rung, Seen(legal=AT + 8 * HOUR).sight(), AT + HOUR)

    assert (EnrolmentState.WAITING, AT + 8 * HOUR) == (move.state, move.place.due_at)


def test_what_comes_up_too_late_is_missed_and_she_goes_on() -> None:
    steps = (Wait(id="rest", span=DAY), Send(id="birthday", template="a"), Wait(id="then", span=DAY))
    late = place("rest", waiting=True, due_at=AT - 3 * DAY)

    move = decide(journey(*steps, max_lateness=2 * DAY), late, Seen().sight(), AT)

    assert [("rest", "waited", "birthday"), ("birthday", "missed", "then")] == results(move)
    assert ((), AT + DAY) == (move.effects, move.place.due_at)


def test_a_mail_that_waited_too_long_for_its_hour_expires() -> None:
    step = Send(id="hello", template="a", expires=DAY)
    rung = place("hello", waiting=True, due_at=AT, step_at=AT - DAY)

    assert [("hello", "expired", "end")] == results(decide(journey(step), rung, Seen().sight(), AT))


def test_a_ring_of_branches_ends() -> None:
    ring = Branch(id="round", arms=(Arm(to="round"),))

    move = decide(journey(ring), place("round"), Seen().sight(), AT)

    assert (EnrolmentState.LEFT, "going_round") == (move.state, move.reason)


IDS = [f"s{n}" for n in range(6)]
TO = st.sampled_from([*IDS, "end", ""])
MUST = st.sampled_from([*IDS, "end"])


@st.composite
def journeys(draw: st.DrawFn) -> Journey:
    """Any journey of six steps: rings, dead ends and all."""
    spans = st.integers(1, 100).map(lambda hours: hours * HOUR)
    kinds = st.sampled_from(["send", "wait", "until", "event", "branch", "split", "tag", "post", "leave"])
    steps: list[Step] = []
    for name in IDS:
        match draw(kinds):
            case "send":
                steps.append(Send(id=name, template="t", to=draw(TO), expires=draw(st.none() | spans)))
            case "wait":
                steps.append(Wait(id=name, span=draw(spans), to=draw(TO)))
            case "until":
                steps.append(Wait(id=name, until=draw(st.sampled_from(["09:00 local", "tue,sat 01:30"])), to=draw(TO)))
            case "event":
                one, two = draw(TO), draw(TO)
                steps.append(WaitEvent(id=name, event="event:x", at_most=draw(spans), then=one, otherwise=two))
            case "branch":
                steps.append(Branch(id=name, arms=(Arm(where="r", to=draw(MUST)), Arm(to=draw(MUST)))))
            case "split":
                arms = (SplitArm(name="a", share=0.5, to=draw(MUST)), SplitArm(name="b", share=0.5, to=draw(MUST)))
                steps.append(Split(id=name, arms=arms))
            case "tag":
                steps.append(Tag(id=name, tag="t", remove=draw(st.booleans()), to=draw(TO)))
            case "post":
                steps.append(Webhook(id=name, url="https://shop.example", to=draw(TO)))
            case _:
                steps.append(Leave(id=name))
    return journey(*steps, max_lateness=draw(st.none() | spans))


@given(journeys(), st.lists(st.integers(0, 60 * 24 * 30), max_size=20), st.booleans(), st.floats(0, 0.999))
def test_every_step_is_passed_once_in_order_and_nobody_waits_for_the_past(
    one: Journey, minutes: list[int], holds: bool, point: float
) -> None:
    seen = Seen(rules={"r"} if holds else set(), point=point, events=[("event:x", AT + 7 * HOUR)])
    there, done = Place(step="s0", visit=0, entered_at=AT, step_at=AT, due_at=AT), []

    for at in (AT + timedelta(minutes=minute) for minute in sorted(minutes)):
        move = decide(one, there, seen.sight(), at)
        done += move.passed
        assert {each.visit for each in move.effects} <= {each.visit for each in move.passed}
        if move.state is not EnrolmentState.WAITING:
            break
        assert move.place.due_at > at
        again = decide(one, move.place, seen.sight(), at)
        assert (move.place, ()) == (again.place, again.passed)
        there = move.place

    assert list(range(len(done))) == [each.visit for each in done]
    assert all(first.to == second.step for first, second in itertools.pairwise(done))


@given(journeys(), st.integers(0, 60 * 24 * 30), st.floats(0, 0.999))
def test_the_same_sight_gives_the_same_move(one: Journey, minute: int, point: float) -> None:
    at, there = AT + timedelta(minutes=minute), Place(step="s0", visit=0, entered_at=AT, step_at=AT, due_at=AT)

    assert decide(one, there, Seen(point=point).sight(), at) == decide(one, there, Seen(point=point).sight(), at)
