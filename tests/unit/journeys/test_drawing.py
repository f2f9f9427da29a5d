import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journeys.definition import (
    END,
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
from engine.journeys.drawing import as_svg
from engine.journeys.laying_out import Box, Line, lay_out
from engine.journeys.lettering import broken, is_right_to_left, width_of
from engine.journeys.outline import as_text
from engine.journeys.ways import Counts, reached, ways

SVG = "{http://www.w3.org/2000/svg}"
WELCOME = Journey(
    name="welcome",
    start=Start(kind=StartKind.SEGMENT, name="new_signups"),
    steps=(
        Send(id="hello", template="welcome_1", subject={"*": "Hello"}, send_at="09:00 local"),
        Wait(id="rest", span=timedelta(days=3)),
        Branch(
            id="bought",
            arms=(Arm(where="orders_count > 3", to=END), Arm(clicked="hello", to="story"), Arm(to="nudge")),
        ),
        Send(id="nudge", template="nudge", expires=timedelta(hours=12)),
        Send(id="story", template="welcome_2"),
    ),
)
NUMBERS = Counts(
    gone={
        ("hello", "sent", "rest"): 995,
        ("hello", "missed", "rest"): 2,
        ("rest", "waited", "bought"): 800,
        ("bought", "1", END): 200,
        ("bought", "2", "story"): 150,
        ("bought", "3", "nudge"): 450,
        ("nudge", "sent", "story"): 440,
        ("story", "sent", END): 560,
    },
    inside={"hello": 3, "rest": 120, "nudge": 10, "story": 20},
    ended={("rest", "goal"): 77, ("story", "goal"): 10, (END, "done"): 760},
)

IDS = st.sampled_from("abcdefgh")
TARGETS = st.sampled_from([*"abcdefgh", END, ""])


def steps(step_id: str) -> st.SearchStrategy[Step]:
    """A step of any kind."""
    fixed, somewhere = st.just(step_id), TARGETS.filter(bool)
    arms = st.lists(st.builds(Arm, where=st.sampled_from(["", "city == 'Oslo' and \"x\" in tags"]), to=somewhere))
    splits = st.lists(st.builds(SplitArm, name=IDS, share=st.just(0.5), to=somewhere), min_size=2, max_size=2)
    return st.one_of(
        st.builds(Send, id=fixed, template=st.text(max_size=40), to=TARGETS),
        st.builds(Wait, id=fixed, span=st.just(timedelta(hours=30)), to=TARGETS),
        st.builds(WaitEvent, id=fixed, event=st.just("order"), at_most=st.just(timedelta(weeks=1)), then=TARGETS),
        st.builds(Branch, id=fixed, arms=arms.map(lambda some: tuple(some) or (Arm(to=END),))),
        st.builds(Split, id=fixed, arms=splits.map(tuple)),
        st.builds(Tag, id=fixed, tag=st.text(max_size=9), to=TARGETS),
        st.builds(Webhook, id=fixed, url=st.just("https://crm.example/hook")),
        st.builds(Leave, id=fixed),
    )


JOURNEYS = st.tuples(*map(steps, "abcdefgh")).map(
    lambda some: Journey(name="any", start=Start(kind=StartKind.ORDER), steps=some)
)


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter(f"{SVG}text")]


def step_ids(svg: str) -> list[str]:
    found = [one.attrib["data-step"] for one in ET.fromstring(svg).iter(f"{SVG}g") if "data-step" in one.attrib]
    return [one for one in found if not one.startswith("(")]


def test_the_outline_has_a_number_on_every_way() -> None:
    assert """\
1,000 came in: segment new_signups
│
hello: mail welcome_1 (Hello, at 09:00) · 3 here
│ 997
rest: wait 3 days · 120 here · 77 reached the goal here
│ 800
bought: which way?
├─ orders_count > 3: 200 (25%) -> end
├─ clicked hello: 150 (19%) -> story
└─ otherwise: 450 (56%) -> nudge
   nudge: mail nudge (within 12 hours) · 10 here
   └─ 440 -> story
story: mail welcome_2 · 20 here · 10 reached the goal here
└─ 560 -> end
end: 760 went through, 87 reached the goal (goal: an order)
""" == as_text(WELCOME, NUMBERS)


def test_an_outline_of_a_file_has_no_numbers() -> None:
    assert "│\nrest: wait 3 days\n" in as_text(WELCOME)
    assert "├─ clicked hello -> story\n" in as_text(WELCOME)
    assert as_text(WELCOME).endswith("end (goal: an order)\n")


def test_ways_of_other_versions_are_told_apart() -> None:
    older = replace(NUMBERS, gone={**NUMBERS.gone, ("gone", "sent", "rest"): 40, ("rest", "waited", "story"): 2})

    assert as_text(WELCOME, older).endswith("42 steps were passed on ways that this version does not have\n")


@settings(max_examples=50)
@given(JOURNEYS)
def test_every_step_that_can_be_reached_stands_in_the_outline_once(journey: Journey) -> None:
    lines = [line.lstrip("│├└─ ") for line in as_text(journey).splitlines()]
    heads = Counter(line.split(": ")[0] for line in lines if line[:2] in {f"{one}:" for one in "abcdefgh"})

    assert Counter(reached(journey)) == heads


@settings(max_examples=25)
@given(JOURNEYS)
def test_every_step_is_drawn_once_and_the_drawing_is_sound_xml(journey: Journey) -> None:
    svg = as_svg(journey)
    to_end = any(way.to == END for way in ways(journey))

    assert Counter([*"abcdefgh", *([END] if to_end else [])]) == Counter(step_ids(svg))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] != pair[1]), max_size=25))
def test_no_box_and_no_label_stands_on_another(pairs: list[tuple[int, int]]) -> None:
    boxes = [Box(id=str(n), width=100, height=40 + 7 * n) for n in range(10)]
    lines = [Line(source=str(a), target=str(b), width=50, height=20) for a, b in pairs]

    layout = lay_out(boxes, lines)

    spots = [*layout.spots.values(), *(run.label for run in layout.runs)]
    for n, one in enumerate(spots):
        assert 0 <= one.x - one.width / 2 + 1e-6
        assert one.x + one.width / 2 <= layout.width + 1e-6
        for other in spots[n + 1 :]:
            aside = abs(one.x - other.x) >= (one.width + other.width) / 2 - 1e-6
            assert aside or abs(one.y - other.y) >= (one.height + other.height) / 2 - 1e-6


def test_what_follows_without_a_choice_stands_straight_below() -> None:
    boxes = [Box(id=one, width=100, height=40) for one in "abcde"]
    lines = [Line(source=a, target=b, width=40, height=20) for a, b in ("ab", "bc", "bd", "ce", "de")]

    spots = lay_out(boxes, lines).spots

    assert spots["a"].x == spots["b"].x
    assert spots["b"].x == pytest.approx((spots["c"].x + spots["d"].x) / 2, abs=1)
    assert spots["c"].y == spots["d"].y


def test_a_line_that_closes_a_ring_is_drawn_as_one() -> None:
    ring = replace(WELCOME, steps=(*WELCOME.steps[:4], Wait(id="story", span=timedelta(days=9), to="hello")))

    assert 1 == as_svg(ring).count('class="line back"')
    assert 0 == as_svg(WELCOME).count('class="line back"')


def test_the_drawing_tells_numbers_shares_and_who_stands_where() -> None:
    said = texts(as_svg(WELCOME, NUMBERS))

    assert {"1,000", "997", "800", "200 · 25%", "150 · 19%", "450 · 56%", "440", "560"} <= set(said)
    assert {"3 here", "120 here", "10 here", "20 here", "77 reached the goal", "760 went through"} <= set(said)
    assert {"mail welcome_1", "Hello", "at 09:00", "1 orders_count > 3", "2 clicked hello", "3 otherwise"} <= set(said)


def test_numbers_into_a_step_are_those_out_of_it_with_those_who_stayed() -> None:
    for step in ("rest", "bought", "nudge", "story"):
        came = sum(n for (_, _, to), n in NUMBERS.gone.items() if to == step)
        stayed = NUMBERS.inside.get(step, 0) + NUMBERS.ended.get((step, "goal"), 0)

        assert came == NUMBERS.from_step(step) + stayed


def test_a_step_that_leads_to_itself_says_so() -> None:
    daily = replace(WELCOME, steps=(Wait(id="day", span=timedelta(days=1), to="day"),))

    assert "back to day" in texts(as_svg(daily))


def test_boxes_are_made_narrow_for_a_narrow_screen_and_only_then() -> None:
    arms = tuple(Arm(where=f"city == '{n}'", to=str(n)) for n in range(4))
    leaving = (Leave(id=str(n)) for n in range(4))
    broad = replace(WELCOME, steps=(Branch(id="which", arms=arms), *leaving))

    wide, narrow = ET.fromstring(as_svg(broad)), ET.fromstring(as_svg(broad, width=390))

    assert float(wide.attrib["viewBox"].split()[2]) * 0.82 > 390
    assert float(narrow.attrib["viewBox"].split()[2]) * 0.82 <= 390
    assert as_svg(WELCOME) == as_svg(WELCOME, width=1280)


def test_what_could_be_markup_or_no_xml_is_only_text() -> None:
    nasty = replace(WELCOME, steps=(Send(id="a", template="<script>&\x07]]>"),))

    assert "mail <script>&\ufffd]]>" in texts(as_svg(nasty))


def test_the_drawing_is_told_to_screen_readers() -> None:
    root = ET.fromstring(as_svg(WELCOME, NUMBERS))

    assert "img" == root.attrib["role"]
    assert "Journey welcome" == root.findtext(f"{SVG}title")
    assert as_text(WELCOME, NUMBERS) == root.findtext(f"{SVG}desc")
    assert "journey-welcome-title journey-welcome-desc" == root.attrib["aria-labelledby"]


def test_titles_of_any_script_break_into_their_box() -> None:
    chinese = broken("欢迎来到街角小店今天有新茶和咖啡", 10, 62, 2)

    assert ["欢迎来到街角", "小店今天有…"] == chinese
    assert all(width_of(line, 10) <= 62 for line in chinese)
    assert ["one two", "three"] == broken("one two three", 10, 45, 3)
    assert is_right_to_left("«خوش آمدید» welcome")
    assert not is_right_to_left("welcome «خوش آمدید»")


def test_a_long_id_stays_in_its_box() -> None:
    long = replace(WELCOME, steps=(Leave(id="a-very-long-id-that-somebody-thought-of-on-a-monday-morning-in-march"),))

    assert all(width_of(said, 10) <= 140 for said in texts(as_svg(long)))


def test_a_right_to_left_title_is_set_so() -> None:
    persian = replace(WELCOME, steps=(Send(id="a", template="t", subject={"fa": "خوش آمدید"}),))

    assert ["rtl"] == [
        one.attrib["direction"]
        for one in ET.fromstring(as_svg(persian)).iter(f"{SVG}text")
        if "direction" in one.attrib
    ]
