"""How is a condition written? A rule's text from its tree, in the language that `check` reads."""

from engine.rules.tree import (
    ATTRIBUTES,
    Ago,
    Among,
    Arithmetic,
    Compare,
    Condition,
    Date,
    Default,
    Either,
    Empty,
    Every,
    Field,
    InSegment,
    IsMissing,
    Literal,
    Negative,
    Not,
    Truth,
    Value,
    Within,
)


def words(condition: Condition) -> str:
    """The condition as a rule; checking it gives the same tree."""
    match condition:
        case Truth(value=value):
            return spelled(value)
        case Compare(op=op, left=left, right=right):
            return f"{spelled(left)} {op} {spelled(right)}"
        case Among(value=value, items=items, negated=negated):
            return f"{spelled(value)} {'not in' if negated else 'in'} [{', '.join(map(spelled, items))}]"
        case Within(value=value, container=container, negated=negated):
            return f"{spelled(value)} {'not in' if negated else 'in'} {spelled(container)}"
        case Empty(items=field, negated=negated):
            return f"{spelled(field)} {'!=' if negated else '=='} []"
        case IsMissing(value=value, negated=negated):
            return f"{spelled(value)} is {'not missing' if negated else 'missing'}"
        case InSegment(name=name):
            return f"segment({quoted(name)})"
        case Not(part=part):
            return f"not {_grouped(part)}"
        case Every(parts=parts):
            return " and ".join(map(_grouped, parts))
        case Either(parts=parts):
            return " or ".join(map(_grouped, parts))


def spelled(value: Value) -> str:
    """The value as it is written in a rule."""
    match value:
        case Literal(value=str() as text):
            return quoted(text)
        case Literal(value=bool() as flag):
            return "true" if flag else "false"
        case Literal(value=number):
            return repr(number)
        case Field(name=name):
            return _named(name)
        case Ago(text=text):
            return f"ago({quoted(text)})"
        case Date(text=text):
            return f"date({quoted(text)})"
        case Arithmetic(op=op, left=left, right=right):
            return f"({spelled(left)} {op} {spelled(right)})"
        case Negative(operand=operand):
            return f"(-{_bracketed(operand)})"
        case Default(value=inner, fallback=fallback):
            return f"({_bracketed(inner)} | default({spelled(fallback)}))"


def quoted(text: str) -> str:
    """A text in quotes, as the rule language reads it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def _named(name: str) -> str:
    bare = name.removeprefix(ATTRIBUTES)
    if bare == name or (bare.isidentifier() and not bare.startswith("_")):
        return name
    return f"attributes[{quoted(bare)}]"


def _bracketed(value: Value) -> str:
    text = spelled(value)
    return f"({text})" if isinstance(value, Literal) and text.startswith("-") else text


def _grouped(condition: Condition) -> str:
    text = words(condition)
    return f"({text})" if isinstance(condition, Every | Either) else text
