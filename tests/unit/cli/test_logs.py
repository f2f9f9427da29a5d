"""One line an event, as text or as JSON, and never an address in it."""

import json
import logging

import pytest

from engine.cli.logs import AsJson, AsText


def record(said: str, *values: object, fault: BaseException | None = None) -> logging.LogRecord:
    info = (type(fault), fault, fault.__traceback__) if fault else None
    return logging.LogRecord("mailer.send", logging.WARNING, __file__, 1, said, values, info)


def as_json(*told: object, fault: BaseException | None = None) -> dict[str, object]:
    line = AsJson().format(record(*told, fault=fault))  # type: ignore[arg-type]
    assert "\n" not in line
    found: dict[str, object] = json.loads(line)
    assert {"at", "level", "logger"} <= found.keys()
    return {key: value for key, value in found.items() if key not in ("at", "level", "logger")}


def test_an_events_keys_are_fields_with_their_own_types() -> None:
    told = as_json("batch_taken campaign=%s plan=%s rate=%.3g reason=%r", "spring", 7, 2.5, "it's full")

    assert {"event": "batch_taken", "campaign": "spring", "plan": 7, "rate": 2.5, "reason": "it's full"} == told


def test_a_line_of_other_words_is_kept_whole() -> None:
    assert {"event": "bounces_fetched", "message": "bounces_fetched bounce=3"} == as_json(
        "bounces_fetched %s", "bounce=3"
    )
    assert {"event": "said", "message": "Exception in ASGI application"} == as_json("Exception in ASGI application")


def test_json_says_when_how_grave_and_who() -> None:
    told = json.loads(AsJson().format(record("run_started web=%s", "x")))

    assert ("warning", "mailer.send") == (told["level"], told["logger"])
    assert told["at"].endswith("Z")


@pytest.mark.parametrize(
    "said",
    ["anna@people.test", "550 5.1.1 <anna@people.test>: unknown", "to=anna@people.test;", "mailto:anna@people.test"],
)
def test_an_address_is_taken_out_of_whatever_is_said(said: str) -> None:
    text = AsText().format(record("paused reason=%r", said))

    assert "anna" not in text
    assert "people.test" not in text
    assert "anna" not in str(as_json("paused reason=%r", said))


def test_a_traceback_is_on_the_same_line_and_without_addresses() -> None:
    try:
        raise ValueError("no way to anna@people.test")
    except ValueError as raised:
        fault = raised
    line = AsText().format(record("bug", fault=fault))

    assert "\n" not in line
    assert r"\nTraceback (most recent call last):\n" in line
    assert "<address>" in line
    assert "anna" not in line
    assert "Traceback" in str(as_json("bug", fault=fault)["traceback"])


def test_a_line_of_text_begins_with_moment_and_gravity() -> None:
    assert AsText().format(record("run_stopped")).endswith("Z WARNING run_stopped")
