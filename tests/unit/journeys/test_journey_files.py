from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.errors import BadJourney, UnknownJourney
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
from engine.journeys.files import load, names, read
from engine.journeys.stored import from_json, to_json

SEGMENTS = ("new_signups", "loyal")


def write(folder: Path, text: str, name: str = "welcome") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str, name: str = "welcome") -> list[str]:
    """What is said of a file, a fault each, without the folder."""
    with pytest.raises(BadJourney) as caught:
        load(write(folder, text, name), SEGMENTS)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def started_by(folder: Path, start: str) -> Start:
    return load(write(folder, f'start = {start}\n[[step]]\nid = "a"\nsend = "mail"\n'), SEGMENTS).start


EVERYTHING = """
description  = "Says hello"
start        = { event = "basket_abandoned", where = "orders_count > 0" }
reentry      = "180 days"
exclude      = "'staff' in tags"
goal         = "event:paid"
window       = "2 weeks"
holdout      = 0.05
on_edit      = "move"
class        = "transactional"
priority     = 3
max_lateness = "2 days"
transport    = "backup"
uncertain    = "ask"

[[step]]
id       = "hello"
send     = "welcome_1"
subject  = { en = "Hello", fi = "Hei" }
send_at  = "9:00 local"
priority = 5
expires  = "12 hours"
cost_per_conversion = 5

[[step]]
id   = "rest"
wait = "3 days"

[[step]]
id    = "tuesday"
until = "tue 09:00 local"

[[step]]
id          = "looked"
until_event = "click"
at_most     = "4 days"
then        = "which"
otherwise   = "bought"

[[step]]
id     = "bought"
branch = [
  { if = "orders_count > 3", to = "end" },
  { clicked = "hello", to = "which" },
  { opened = "hello", if = "city == 'Oslo'", to = "mark" },
  { to = "mark" },
]

[[step]]
id    = "which"
split = [
  { name = "plain", to = "unmark" },
  { name = "rich", share = 0.25, to = "mark" },
]

[[step]]
id  = "mark"
tag = "warm"
to  = "tell"

[[step]]
id    = "unmark"
untag = "cold"

[[step]]
id      = "tell"
webhook = "https://crm.example/hook?x=1"

[[step]]
id    = "out"
leave = "unmoved"
"""


def test_every_key_of_a_file_is_read(tmp_path: Path) -> None:
    journey = load(write(tmp_path, EVERYTHING), SEGMENTS)

    assert (
        Journey(
            name="welcome",
            description="Says hello",
            start=Start(kind=StartKind.EVENT, name="basket_abandoned", where="orders_count > 0"),
            reentry=timedelta(days=180),
            exclude="'staff' in tags",
            goal="event:paid",
            window=timedelta(days=14),
            holdout=0.05,
            on_edit=OnEdit.MOVE,
            message_class="transactional",
            priority=3,
            max_lateness=timedelta(days=2),
            transport="backup",
            uncertain="ask",
            steps=(
                Send(
                    id="hello",
                    template="welcome_1",
                    subject={"en": "Hello", "fi": "Hei"},
                    send_at="09:00 local",
                    priority=5,
                    expires=timedelta(hours=12),
                    cost_per_conversion=5.0,
                ),
                Wait(id="rest", span=timedelta(days=3)),
                Wait(id="tuesday", until="tue 09:00 local"),
                WaitEvent(id="looked", event="click", at_most=timedelta(days=4), then="which", otherwise="bought"),
                Branch(
                    id="bought",
                    arms=(
                        Arm(where="orders_count > 3", to="end"),
                        Arm(clicked="hello", to="which"),
                        Arm(opened="hello", where="city == 'Oslo'", to="mark"),
                        Arm(to="mark"),
                    ),
                ),
                Split(
                    id="which",
                    arms=(
                        SplitArm(name="plain", share=0.75, to="unmark"),
                        SplitArm(name="rich", share=0.25, to="mark"),
                    ),
                ),
                Tag(id="mark", tag="warm", to="tell"),
                Tag(id="unmark", tag="cold", remove=True),
                Webhook(id="tell", url="https://crm.example/hook?x=1"),
                Leave(id="out", reason="unmoved"),
            ),
        )
        == journey
    )
    assert journey == from_json(to_json(journey))


def test_a_short_file_is_filled_with_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, 'start = { segment = "loyal" }\n[[step]]\nid = "a"\nsend = "mail"\n', "thanks")

    assert Journey(
        name="thanks",
        start=Start(kind=StartKind.SEGMENT, name="loyal"),
        steps=(Send(id="a", template="mail"),),
        reentry=None,
        existing=False,
        goal="order",
        window=timedelta(days=30),
        on_edit=OnEdit.FINISH,
    ) == load(path, SEGMENTS)


def test_those_already_in_the_segment_come_too_when_the_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, 'start = { segment = "loyal" }\nexisting = true\n[[step]]\nid = "a"\nsend = "mail"\n')

    assert load(path, SEGMENTS).existing


def test_leaving_needs_no_reason(tmp_path: Path) -> None:
    path = write(tmp_path, 'start = { hand = true }\n[[step]]\nid = "a"\nleave = true\n')

    assert (Leave(id="a", reason="left"),) == load(path, SEGMENTS).steps


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ('{ segment = "loyal" }', Start(kind=StartKind.SEGMENT, name="loyal")),
        ("{ order = true }", Start(kind=StartKind.ORDER)),
        ("{ hand = true, where = \"'vip' in tags\" }", Start(kind=StartKind.HAND, where="'vip' in tags")),
        (
            '{ date = "birth_date", offset = "-3 days", at = "7:30" }',
            Start(kind=StartKind.DATE, name="birth_date", offset=timedelta(days=-3), at="07:30"),
        ),
        (
            '{ date = "attributes.renewal", offset = "1 week", yearly = false }',
            Start(kind=StartKind.DATE, name="attributes.renewal", offset=timedelta(days=7), yearly=False),
        ),
    ],
)
def test_every_way_in_is_understood(tmp_path: Path, text: str, start: Start) -> None:
    assert start == started_by(tmp_path, text)


HEAD = 'start = { hand = true }\n[[step]]\nid = "a"\n'
MAIL = HEAD + 'send = "mail"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # what each key may say
        (MAIL.replace("hand", "hnad"), "1: unknown key 'start.hnad'; did you mean 'hand'?"),
        ("goals = 'order'\n" + MAIL, "1: unknown key 'goals'; did you mean 'goal'?"),
        (MAIL + "sendat = 'now'\n", "5: unknown key 'step.1.sendat'; did you mean 'send_at'?"),
        (
            MAIL + "holdout = 0.1\n",
            "5: unknown key 'step.1.holdout'; holdout of a journey stands on top, before the first [[step]]",
        ),
        ("holdout = 1\n" + MAIL, "1: holdout: Input should be less than 1"),
        (
            "window = '3 moons'\n" + MAIL,
            "1: window: '3 moons' is not a duration; write it as '14 days', '2 hours' or '30 minutes'",
        ),
        (
            "reentry = 'often'\n" + MAIL,
            "1: reentry: 'often' is not a duration; write it as '14 days', '2 hours' or '30 minutes', or 'never'",
        ),
        ("reentry = '0 days'\n" + MAIL, "1: reentry: must be longer than nothing"),
        ("goal = 'love'\n" + MAIL, "1: goal: 'love' is no goal; write order, click or event:NAME"),
        ("on_edit = 'stay'\n" + MAIL, "1: on_edit: Input should be 'finish' or 'move'"),
        (
            "class = 'a b'\n" + MAIL,
            "1: class: 'a b' is no class; write a word of small letters, digits, - and _, such as newsletter",
        ),
        (
            MAIL.replace('"a"', '"end"'),
            "3: step.1.id: 'end' is no id of a step; use letters, digits, - and _ ('end' is taken)",
        ),
        (
            MAIL.replace('"a"', '"a b"'),
            "3: step.1.id: 'a b' is no id of a step; use letters, digits, - and _ ('end' is taken)",
        ),
        (MAIL + "expires = '0 hours'\n", "5: step.1.expires: must be longer than nothing"),
        (
            MAIL + "send_at = 'noon'\n",
            "5: step.1.send_at: 'noon' is no time to send at; write now, 09:00 local or best hour",
        ),
        (
            MAIL + "send_at = '25:00 local'\n",
            "5: step.1.send_at: '25:00 local' is no time to send at; write now, 09:00 local or best hour",
        ),
        (MAIL + "subject = ''\n", "5: step.1.subject: a subject is one line of text"),
        (HEAD + "wait = '0 days'\n", "4: step.1.wait: must be longer than nothing"),
        (HEAD + "wait = 3\n", "4: step.1.wait: Input should be a valid string"),
        (
            HEAD + "until = 'tue 09:00 Europe/Oslo'\n",
            "4: step.1.until: a journey goes by each contact's own clock; "
            "leave 'Europe/Oslo' out of 'tue 09:00 Europe/Oslo'",
        ),
        (
            HEAD + "until = 'tus 09:00'\n",
            "4: step.1.until: 'tus' in 'tus 09:00' is no day; mon, tue, wed, thu, fri, sat, sun "
            "are; did you mean 'tue'?",
        ),
        (
            HEAD + "until_event = 'birth'\nat_most = '1 day'\n",
            "4: step.1.until_event: 'birth' is no goal; write order, click or event:NAME",
        ),
        (HEAD + "leave = false\n", "4: step.1.leave: Input should be a valid string"),
        (HEAD + "branch = []\n", "4: step.1.branch: List should have at least 1 item after validation, not 0"),
        (HEAD + "branch = [{ if = 'orders_count > 1' }]\n", "4: step.1.branch.1.to is missing"),
        (HEAD + "branch = [{ where = 'orders_count > 1', to = 'end' }]\n", "4: unknown key 'step.1.branch.1.where'"),
        (
            HEAD + "split = [{ name = 'x', to = 'end' }]\n",
            "4: step.1.split: List should have at least 2 items after validation, not 1",
        ),
        (
            HEAD + "webhook = 'http://crm.example/x'\n",
            "4: step.1.webhook: 'http://crm.example/x' would go over the net in the clear; use "
            "https (http only to this machine)",
        ),
        (
            HEAD + "webhook = 'crm.example'\n",
            "4: step.1.webhook: 'crm.example' is no address; write it as https://example.com/hook",
        ),
        (
            HEAD + "webhook = 'https://me:pw@crm.example/x'\n",
            "4: step.1.webhook: an address in a file must not hold a password; leave what stands before @ out",
        ),
        (
            MAIL.replace("hand = true", "date = 'shoe_size'"),
            "1: start.date: 'shoe_size' is no date of a contact; write birth_date or attributes.NAME",
        ),
        (
            MAIL.replace("hand = true", "date = 'birth_date', offset = 'soon'"),
            "1: start.offset: 'soon' is no offset; write it as '-3 days' or '1 week'",
        ),
        (
            MAIL.replace("hand = true", "date = 'birth_date', offset = '5 hours'"),
            "1: start.offset: '5 hours': an offset is in whole days, the hour is said by at",
        ),
        (
            MAIL.replace("hand = true", "date = 'birth_date', at = '9 am'"),
            "1: start.at: '9 am' is no time of day; write it as 09:00",
        ),
        ("start = { hand = true }\n", "1: a journey needs at least one [[step]]"),
        ("start = { hand = true }\nstep = []\n", "2: a journey needs at least one [[step]]"),
        (
            '[[step]]\nid = "a"\nsend = "mail"\n',
            '1: start is missing; it says who gets in, as start = { segment = "name" }',
        ),
        # the start
        (MAIL.replace("hand = true", "segment = 'loyl'"), "1: unknown segment 'loyl'; did you mean 'loyal'?"),
        (MAIL.replace("hand = true", "segment = 'x'"), "1: unknown segment 'x'; known: loyal, new_signups"),
        (
            MAIL.replace("hand = true", "hand = true, order = true"),
            "1: a start is one of segment, event, order, date, hand; here is order and hand",
        ),
        (
            MAIL.replace("hand = true", "where = 'orders_count > 1'"),
            "1: a start is one of segment, event, order, date, hand; here is none",
        ),
        (
            MAIL.replace("hand = true", "segment = 'loyal', where = 'orders_count > 1'"),
            "1: where goes with event, order, date and hand; a segment says all it has to say in segments.toml",
        ),
        (MAIL.replace("hand = true", "hand = true, at = '09:00'"), "1: at goes with date, not with hand"),
        (
            "existing = true\n" + MAIL,
            "1: existing = true goes with a segment: with hand there is nobody who is in it already",
        ),
        # the steps
        (
            HEAD,
            "2: step 'a' does nothing; it needs one of send, wait, until, until_event, branch, "
            "split, tag, untag, webhook, leave",
        ),
        (MAIL + "wait = '1 day'\n", "5: step 'a' does two things, send and wait; make two steps"),
        (HEAD + "wait = '1 day'\nexpires = '1 day'\n", "5: expires does not go with wait: it is of send"),
        (
            HEAD + "branch = [{ to = 'end' }]\nto = 'end'\n",
            "5: to does not go with branch: its arms say where it leads",
        ),
        (HEAD + "until_event = 'order'\n", "4: step 'a' would wait for ever; say at_most = \"7 days\""),
        (MAIL + '[[step]]\nid = "a"\nwait = "1 day"\n', "6: two steps have the id 'a'; every step has its own"),
        (
            MAIL + 'to = "b"\n[[step]]\nid = "bb"\nleave = true\n',
            "5: to = 'b': there is no such step; did you mean 'bb'?",
        ),
        (MAIL + 'to = "zzz"\n', "5: to = 'zzz': there is no such step; steps: a, end"),
        (
            HEAD + 'until_event = "order"\nat_most = "1 day"\nthen = "end"\notherwise = "zzz"\n',
            "7: otherwise = 'zzz': there is no such step; steps: a, end",
        ),
        (
            HEAD + 'branch = [{ clicked = "hello", to = "end" }]\n',
            "4: clicked = 'hello': there is no such step; steps that send: none",
        ),
        (
            MAIL + '[[step]]\nid = "b"\nwait = "1 day"\n[[step]]\nid = "c"\nbranch = [{ opened = "b", to = "end" }]\n',
            "10: opened = 'b': that step sends no mail",
        ),
        (
            HEAD + 'split = [{ name = "x", share = 0.5, to = "end" }, { name = "y", share = 0.4, to = "end" }]\n',
            "4: the shares sum to 0.9, not to 1 (the holdout is taken before them)",
        ),
        (
            HEAD + 'split = [{ name = "x", to = "end" }, { name = "x", to = "end" }]\n',
            "4: two arms of a split are named 'x'",
        ),
        # the ways
        (
            MAIL + 'to = "end"\n[[step]]\nid = "b"\nleave = true\n',
            "7: nobody ever gets to step 'b': no step leads to it",
        ),
        (
            MAIL + '[[step]]\nid = "b"\ntag = "x"\nto = "a"\n',
            "3: a -> b -> a goes round and round without a wait; put one in, or lead out of it",
        ),
        (
            MAIL + 'send_at = "09:00 local"\nto = "a"\n',
            "3: a -> a goes round and round without a wait; put one in, or lead out of it",
        ),
        (
            HEAD + 'branch = [\n  { to = "end" },\n  { if = "orders_count > 1", to = "end" },\n]\n',
            "4: arm 2 of 'a' never gets its turn: arm 1 holds whenever it does",
        ),
        # the rules
        (
            "exclude = 'order_count > 1'\n" + MAIL,
            "1:1: exclude: unknown name 'order_count'; did you mean 'orders_count'?",
        ),
        (
            MAIL.replace("hand = true", "order = true, where = 'revenue > \"x\"'"),
            "1:1: start.where: a number can't be compared with a text",
        ),
        (
            HEAD + 'branch = [{ if = "segment(\'lojal\')", to = "end" }]\n',
            "4:1: step.1.branch.1.if: unknown segment 'lojal'; did you mean 'loyal'?",
        ),
    ],
)
def test_a_fault_is_told_in_one_sentence_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert [f"welcome.toml:{told}"] == faults(tmp_path, text)


def test_all_faults_come_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """
        start  = { segment = "x" }
        goal   = "love"
        exclude = "nothing > 1"
        [[step]]
        id   = "a"
        send = "mail"
        to   = "nowhere"
        [[step]]
        id   = "a"
        wait = "long"
        """,
    )

    assert ["2", "3", "8", "10", "11", "4"] == [line.split(":")[1] for line in found]


def test_a_ring_with_a_wait_is_sound(tmp_path: Path) -> None:
    path = write(tmp_path, MAIL + '[[step]]\nid = "b"\nwait = "30 days"\nto = "a"\n')

    assert "a" == load(path, SEGMENTS).steps[1].to  # type: ignore[union-attr]


def test_an_order_may_start_what_the_next_order_ends(tmp_path: Path) -> None:
    assert "order" == load(write(tmp_path, MAIL.replace("hand", "order")), SEGMENTS).goal


def test_dates_in_rules_are_midnight_of_the_shop(tmp_path: Path) -> None:
    path = write(tmp_path, "exclude = \"last_order_at > date('2026-01-01')\"\n" + MAIL)

    assert load(path, SEGMENTS, ZoneInfo("Europe/Helsinki")).exclude


def test_a_file_that_is_no_toml_is_told_with_its_place(tmp_path: Path) -> None:
    assert faults(tmp_path, "start = {\n")[0].startswith("welcome.toml:1:10: not valid TOML: ")


def test_a_file_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "welcome.toml"
    path.write_bytes(b"\xff\xfe")

    journey, (found,) = read(path, SEGMENTS)

    assert journey is None
    assert "bad_file" == found.code


def test_a_name_that_stands_in_no_address_is_refused(tmp_path: Path) -> None:
    assert ["wel come.toml:1: 'wel come' can't name a journey; use letters, digits, - and _"] == faults(
        tmp_path, MAIL, "wel come"
    )


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, MAIL)

    assert ["welcome"] == names(tmp_path)
    with pytest.raises(UnknownJourney, match="did you mean 'welcome'"):
        load(tmp_path / "welcom.toml", SEGMENTS)
