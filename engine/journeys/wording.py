"""How is a step said in a few words? The same in the outline, the drawing and wherever else a journey is shown."""

from datetime import timedelta
from urllib.parse import urlsplit

from engine.journeys.definition import (
    Arm,
    Branch,
    Leave,
    Send,
    Split,
    Start,
    StartKind,
    Step,
    Tag,
    Wait,
    WaitEvent,
    Webhook,
)
from engine.journeys.ways import Way, conditions

_ANY_LANGUAGE = "*"
_UNITS = (("week", timedelta(weeks=1)), ("day", timedelta(days=1)), ("hour", timedelta(hours=1)))
_MINUTE = timedelta(minutes=1)


def kind_of(step: Step) -> str:
    """What it is, in one word."""
    match step:
        case Send():
            return "mail"
        case Wait() | WaitEvent():
            return "wait"
        case Branch():
            return "branch"
        case Split():
            return "split"
        case Tag():
            return "tag"
        case Webhook():
            return "webhook"
        case Leave():
            return "leave"


def words_of(step: Step) -> str:
    """What it does."""
    match step:
        case Send():
            return f"mail {step.template}"
        case Wait(span=timedelta() as length):
            return f"wait {span(length)}"
        case Wait():
            return f"wait until {step.until.removesuffix(' local')}"
        case WaitEvent():
            return f"wait for {event(step.event)}, {span(step.at_most)} at most"
        case Branch():
            return "which way?"
        case Split():
            return "by lot"
        case Tag():
            return f"take tag {step.tag} away" if step.remove else f"give tag {step.tag}"
        case Webhook():
            return f"tell {urlsplit(step.url).hostname}"
        case Leave():
            return f"leave: {step.reason}"


def more_of(step: Step) -> tuple[str, ...]:
    """What else is to be known of it, a line each."""
    match step:
        case Send():
            subject = step.subject.get(_ANY_LANGUAGE) or next(iter(step.subject.values()), "")
            hour = "" if step.send_at == "now" else f"at {step.send_at.removesuffix(' local')}"
            good_for = f"within {span(step.expires)}" if step.expires else ""
            return tuple(line for line in (subject, hour, good_for) if line)
        case Branch():
            return tuple(f"{n}  {asks(arm)}" for n, arm in enumerate(step.arms, start=1))
        case Split():
            return tuple(f"{arm.name}  {arm.share:.0%}" for arm in step.arms)
        case _:
            return ()


def way_said(step: Step, way: Way) -> str:
    """What made her go this way; empty where there is only one."""
    match step:
        case WaitEvent():
            return "came" if way.results == ("event",) else "did not come"
        case Branch():
            number = way.results[0]
            return "none" if number == "none" else number
        case Split():
            return way.results[0]
        case _:
            return ""


def way_told(step: Step, way: Way) -> str:
    """The same with what a branch asks for."""
    if isinstance(step, Branch):
        number = way.results[0]
        return "otherwise" if number == "none" else asks(step.arms[int(number) - 1])
    return way_said(step, way)


def asks(arm: Arm) -> str:
    """What an arm of a branch asks for."""
    said = [
        arm.where,
        f"clicked {arm.clicked}" if arm.clicked else "",
        f"opened {arm.opened}" if arm.opened else "",
    ]
    return " and ".join(one for one in said if one) if conditions(arm) else "otherwise"


def start_said(start: Start) -> str:
    """Who gets in."""
    match start.kind:
        case StartKind.SEGMENT:
            return f"segment {start.name}"
        case StartKind.EVENT:
            said = f"event {start.name}"
        case StartKind.ORDER:
            said = "order"
        case StartKind.HAND:
            said = "enrolled by hand"
        case StartKind.DATE:
            said = f"{_offset(start.offset)}{start.name}, {start.at}{'' if start.yearly else ', once'}"
    return f"{said}, if {start.where}" if start.where else said


def event(name: str) -> str:
    """An awaited event or a goal."""
    return {"order": "an order", "click": "a click"}.get(name, name.removeprefix("event:"))


def span(length: timedelta) -> str:
    """A length as people say it: 3 days, 36 hours."""
    for unit, one in _UNITS:
        times = length / one
        if times >= 1 and times == int(times) and (unit != "week" or times > 1):
            return _counted(int(times), unit)
    minutes = length / _MINUTE
    return _counted(int(minutes), "minute") if minutes == int(minutes) else f"{minutes:g} minutes"


def _counted(times: int, unit: str) -> str:
    return f"{times} {unit}" if times == 1 else f"{times} {unit}s"


def _offset(offset: timedelta) -> str:
    if not offset:
        return ""
    return f"{span(abs(offset))} {'before' if offset < timedelta() else 'after'} "
