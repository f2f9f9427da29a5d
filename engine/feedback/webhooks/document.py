"""What stands at this place of somebody else's JSON, if anything of the right type?"""

import json
from datetime import UTC, datetime
from typing import Any


def parsed(text: bytes | str) -> dict[str, Any]:
    """The document; empty when it is none."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def part(document: Any, *path: str) -> dict[str, Any]:
    """The object at this path; empty when there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def text(document: dict[str, Any], name: str) -> str:
    """The text of this name, or the first of a list of texts; empty when there is none."""
    value = document.get(name)
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else ""


def items(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in the list of this name."""
    value = document.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def moment(document: dict[str, Any], name: str) -> datetime | None:
    """The time of this name (ISO 8601; without a zone it is UTC)."""
    try:
        found = datetime.fromisoformat(text(document, name))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
