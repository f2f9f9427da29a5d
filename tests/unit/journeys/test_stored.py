from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.journeys.definition import (
    Arm,
    Branch,
    Journey,
    Leave,
    OnEdit,
    Send,
    Split,
    SplitArm,
    Start,
    StartKind,
    Tag,
    Wait,
    WaitEvent,
    Webhook,
)
from engine.journeys.stored import digest, from_json, to_json

SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
WORDS = st.text(max_size=6)
STEPS = st.one_of(
    st.builds(
        Send,
        id=WORDS,
        template=WORDS,
        subject=st.dictionaries(WORDS, WORDS, max_size=2),
        send_at=st.sampled_from(["now", "09:00 local", "best hour"]),
        priority=st.none() | st.integers(-5, 5),
        expires=st.none() | SPANS,
        cost_per_conversion=st.floats(0, 100),
        to=WORDS,
    ),
    st.builds(Wait, id=WORDS, span=st.none() | SPANS, until=WORDS, to=WORDS),
    st.builds(WaitEvent, id=WORDS, event=WORDS, at_most=SPANS, then=WORDS, otherwise=WORDS),
    st.builds(
        Branch,
        id=WORDS,
        arms=st.lists(st.builds(Arm, to=WORDS, where=WORDS, clicked=WORDS, opened=WORDS), max_size=3).map(tuple),
    ),
    st.builds(
        Split,
        id=WORDS,
        arms=st.lists(st.builds(SplitArm, name=WORDS, share=st.floats(0, 1), to=WORDS), max_size=3).map(tuple),
    ),
    st.builds(Tag, id=WORDS, tag=WORDS, remove=st.booleans(), to=WORDS),
    st.builds(Webhook, id=WORDS, url=WORDS, to=WORDS),
    st.builds(Leave, id=WORDS, reason=WORDS),
)
JOURNEYS = st.builds(
    Journey,
    name=WORDS,
    start=st.builds(
        Start,
        kind=st.sampled_from(StartKind),
        name=WORDS,
        where=WORDS,
        offset=st.timedeltas(min_value=timedelta(days=-40), max_value=timedelta(days=40)),
        at=WORDS,
        yearly=st.booleans(),
    ),
    steps=st.lists(STEPS, max_size=5).map(tuple),
    description=WORDS,
    existing=st.booleans(),
    reentry=st.none() | SPANS,
    exclude=WORDS,
    goal=WORDS,
    window=SPANS,
    holdout=st.floats(0, 0.9),
    on_edit=st.sampled_from(OnEdit),
    message_class=WORDS,
    priority=st.integers(-5, 5),
    max_lateness=st.none() | SPANS,
    transport=st.none() | WORDS,
    uncertain=WORDS,
)

SMALL = Journey(name="hello", start=Start(kind=StartKind.ORDER), steps=(Send(id="one", template="welcome"),))


@given(JOURNEYS)
def test_a_journey_comes_back_from_its_json_as_it_was(journey: Journey) -> None:
    assert journey == from_json(to_json(journey))


def test_what_the_defaults_say_is_written_out_and_what_says_nothing_is_left_out() -> None:
    assert {
        "name": "hello",
        "start": {"kind": "order", "at": "09:00", "yearly": True},
        "steps": [{"kind": "send", "id": "one", "template": "welcome", "send_at": "now"}],
        "goal": "order",
        "window": 30 * 86400.0,
        "on_edit": "finish",
        "message_class": "marketing",
        "uncertain": "assume-sent",
    } == to_json(SMALL)


def test_a_digest_is_the_same_for_the_same_journey_and_another_for_any_other() -> None:
    assert "fcbae6b1215906b78b2d36d0ae5b34d9328ddfb38e8923da7a98a9d08d80bf35" == digest(SMALL)
    assert digest(SMALL) == digest(from_json(to_json(SMALL)))
    assert digest(SMALL) != digest(replace(SMALL, priority=1))
    assert digest(SMALL) != digest(replace(SMALL, steps=(*SMALL.steps, Leave(id="out"))))
