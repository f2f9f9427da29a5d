"""What does this contact get to read? Fills a compiled template from a frozen context, within limits.

Contacts' values are data: they are never compiled and never rendered twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.exceptions import SecurityError

from engine.errors import RenderFailed
from engine.message.compiled import CompiledTemplate, Part
from engine.message.fields import MOMENT
from engine.message.plain_text import tidied
from engine.message.sandbox import PLAIN_ADDRESSES, Frame, LinkAddresses, SkipMessage, program, sandbox
from engine.rules import Missing, seen_all

LARGEST_OUTPUT = 1_000_000  # characters
LONGEST_SUBJECT = 500
# NameError: what Jinja's compiler writes of 1e400, for one, is no Python.
FAULTS = (TemplateError, SecurityError, RenderFailed, ArithmeticError, LookupError, NameError, TypeError, ValueError)
_NO_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One contact's message in words, before it becomes a mail."""

    subject: str
    preheader: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Programs:
    """A template's parts as Python."""

    html: Template
    text: Template
    subject: Template
    preheader: Template


def render(template: CompiledTemplate, context: Mapping[str, Any], addresses: LinkAddresses) -> Rendered:
    """One contact's message. RenderFailed names the value and its place; SkipMessage is the template's own wish."""
    made = programs(template)
    values = values_of(template, context, addresses)
    subject = " ".join(run(made.subject, template.subject, values).split())
    if len(subject) > LONGEST_SUBJECT:
        raise RenderFailed(f"the subject is longer than {LONGEST_SUBJECT} characters: {subject[:60]!r}...")
    return Rendered(
        subject=subject,
        preheader=" ".join(run(made.preheader, template.preheader, values).split()),
        html=run(made.html, template.html, values),
        text=tidied(run(made.text, template.text, values)),
    )


def destinations(template: CompiledTemplate, context: Mapping[str, Any]) -> dict[tuple[int, int], str]:
    """Where each tracked link of one contact's message leads, by place and round."""
    found: dict[tuple[int, int], str] = {}

    def note(site: int, occurrence: int, destination: str) -> str:
        found[site, occurrence] = destination
        return destination

    render(template, context, replace(PLAIN_ADDRESSES, click=note))
    return found


def values_of(template: CompiledTemplate, context: Mapping[str, Any], addresses: LinkAddresses) -> dict[str, Any]:
    """All that a message's programs read, with a new frame."""
    values = seen_all(context)
    values["links"] = {
        "unsubscribe": addresses.unsubscribe,
        "preferences": addresses.preferences,
        "view": addresses.view or Missing("links.view"),
    }
    values["_pixel"] = addresses.pixel_url
    values["_frame"] = Frame(
        language=template.language,
        currency=template.currency,
        timezone=template.timezone,
        at=datetime.fromisoformat(context[MOMENT]) if MOMENT in context else _NO_MOMENT,
        addresses=addresses,
    )
    return values


@lru_cache(maxsize=64)
def programs(template: CompiledTemplate) -> Programs:
    """The template's parts as Python."""
    escaping, plain = (sandbox(autoescape, template.timezone) for autoescape in (True, False))
    return Programs(
        html=program(escaping, template.html.source),
        text=program(plain, template.text.source),
        subject=program(plain, template.subject.source),
        preheader=program(plain, template.preheader.source),
    )


def run(program: Template, part: Part, values: dict[str, Any]) -> str:
    """Run one program; faults become RenderFailed with the place in the author's file."""
    if "{" not in part.source:
        return part.source  # a subject that is the same for all
    pieces: list[str] = []
    size = 0
    try:
        for piece in program.root_render_func(program.new_context(values)):
            size += len(piece)
            if size > LARGEST_OUTPUT:
                raise RenderFailed(f"the message grew past {LARGEST_OUTPUT} characters")
            pieces.append(piece)
    except SkipMessage:
        raise
    except FAULTS as fault:
        raise RenderFailed(f"{_place(fault.__traceback__, program, part)}{fault}") from fault
    return "".join(pieces)


def _place(trace: TracebackType | None, program: Template, part: Part) -> str:
    line = 0
    while trace is not None:
        if trace.tb_frame.f_globals.get("__jinja_template__") is program or trace.tb_frame.f_code.co_name == "root":
            line = program.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    told = [told for first, told in part.lines if first <= line]
    return f"{told[-1]}: " if told else ""
