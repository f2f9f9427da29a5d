"""How do events reach stderr? One line each, as text or JSON, with nobody's address and no traceback over many lines.

An event is logged as `event key=%s key=%r`: in JSON its keys are fields. Whatever still looks like an address, in a
server's words or a traceback, is taken out here, whoever wrote it.
"""

import json
import logging
import re
import sys
import time
from enum import StrEnum
from typing import Any

_ADDRESS = re.compile(r"[^\s<>\"'(),:;=/\\\\]+@[^\s<>\"'(),:;/\\\\]+")
_FIELD = re.compile(r"(\w+)=%[^ ]*[a-z]")
_ITSELF = re.compile(r"(?P<event>\w+)(?: \w+=%[^ ]*[a-z])*")
_PLAIN = (bool, int, float)


class Form(StrEnum):
    """What a line looks like."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """How grave an event must be to be written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def log_events(form: Form = Form.TEXT, level: Level = Level.INFO) -> None:
    """From now on the engine's events go to stderr; of libraries only what is grave."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(AsJson() if form is Form.JSON else AsText())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("mailer").setLevel(level.value.upper())


class AsText(logging.Formatter):
    """UTC, how grave, `event key=value`; a traceback behind it, its line ends as \\n."""

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return _without_addresses(super().format(record)).replace("\r", "").replace("\n", "\\n")


class AsJson(logging.Formatter):
    """`{"at","level","logger","event",...}`, its further keys those of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, Any] = {"at": f"{moment}.{int(record.msecs):03}Z", "level": record.levelname.lower()}
        told |= {"logger": record.name, **_fields(record)}
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps({key: _value(value) for key, value in told.items()}, ensure_ascii=False)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The event and its keys; a line in other words is an event `said`."""
    template, values = str(record.msg), record.args
    keys = _FIELD.findall(template)
    whole = _ITSELF.fullmatch(template)
    if whole and isinstance(values, tuple) and len(keys) == len(values):
        return {"event": whole["event"], **dict(zip(keys, values, strict=True))}
    event = re.match(r"[a-z_]+(?= |$)", template)
    return {"event": event[0] if event else "said", "message": record.getMessage()}


def _value(value: Any) -> Any:
    return value if isinstance(value, _PLAIN) or value is None else _without_addresses(str(value))


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("<address>", text) if "@" in text else text
