"""The four evaluators of a rule, side by side: Python, SQLite, PostgreSQL and a template."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from jinja2.sandbox import SandboxedEnvironment

from engine.model import FIELDS, FieldKind, Profile
from engine.rules import Rule, SqlField, check, evaluate, number_of, prepare, seen_all, to_sql
from engine.store.columns import Json, UtcTime

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

TEXTS = ("given_name", "country")
NUMBERS = ("age", "orders_count", "revenue", "usual_gap_days", "average_order")
FLAGS = ("mailing_consent", "tracking_consent")
MOMENTS = ("created_at", "last_order_at")
LISTS = ("tags", "interests")
ATTRIBUTES = {"attributes.size": "size", "attributes.width": "width", "attributes['shoe size']": "shoe size"}
LOOSE = ("company_size", *ATTRIBUTES)

people = sa.Table(
    "rules_people",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.Text) for name in (*TEXTS, "company_size", *ATTRIBUTES.values())),
    *(sa.Column(f"{name}_number", sa.Float) for name in ("company_size", *ATTRIBUTES.values())),
    *(sa.Column(name, sa.BigInteger if name == "orders_count" else sa.Float) for name in NUMBERS),
    *(sa.Column(name, sa.Boolean) for name in FLAGS),
    *(sa.Column(name, UtcTime) for name in MOMENTS),
    *(sa.Column(name, Json) for name in LISTS),
    prefixes=["TEMPORARY"],
)


class PeopleColumns:
    """The columns of the table above, as `to_sql` asks for them."""

    def field(self, name: str) -> SqlField:
        kind = FIELDS[name]
        if kind is FieldKind.LOOSE:
            return SqlField(kind=kind, text=people.c[name], number=people.c[f"{name}_number"])
        place = {
            FieldKind.TEXT: "text",
            FieldKind.NUMBER: "number",
            FieldKind.BOOLEAN: "flag",
            FieldKind.MOMENT: "moment",
            FieldKind.LIST: "items",
        }[kind]
        return SqlField(kind=kind, **{place: people.c[name]})

    def attribute(self, name: str) -> SqlField:
        return SqlField(kind=FieldKind.LOOSE, text=people.c[name], number=people.c[f"{name}_number"])


@dataclass(frozen=True)
class Databases:
    sqlite: sa.Connection
    postgresql: sa.Connection


SEGMENTS = {
    "one": check("orders_count >= 2 or given_name is missing"),
    "two": check("not segment('one') and 'vip' in tags", segments=["one"]),
}


def in_python(rules: list[Rule], everybody: list[Profile]) -> list[list[bool]]:
    return [[evaluate(rule, who, AT, SEGMENTS) for rule in rules] for who in everybody]


def in_sql(
    connection: sa.Connection,
    rules: list[Rule],
    everybody: list[Profile],
    segments: Mapping[str, Rule] = MappingProxyType(SEGMENTS),
) -> list[list[bool]]:
    """Asked for every rule beside each person, and the first rule as a WHERE, too."""
    conditions = [to_sql(rule, PeopleColumns(), AT, segments) for rule in rules]
    columns = [condition.label(f"rule_{n}") for n, condition in enumerate(conditions)]
    connection.execute(people.insert(), [row(number, who) for number, who in enumerate(everybody)])
    found = connection.execute(sa.select(*columns).select_from(people).order_by(people.c.id)).all()
    chosen = connection.execute(sa.select(people.c.id).where(conditions[0]).order_by(people.c.id)).scalars().all()
    connection.rollback()
    assert all(value is True or value is False for line in found for value in line), "a condition was NULL"
    assert [number for number, line in enumerate(found) if line[0]] == chosen
    return [list(line) for line in found]


def in_template(rules: list[Rule], everybody: list[Profile]) -> list[list[bool]]:
    environment = SandboxedEnvironment()
    prepare(environment, AT, segments=SEGMENTS)
    template = environment.from_string("".join(f"{{% if {r.source} %}}1{{% else %}}0{{% endif %}}" for r in rules))
    return [[mark == "1" for mark in template.render(seen_all(context(who)))] for who in everybody]


def row(number: int, who: Profile) -> dict[str, Any]:
    plain = {name: getattr(who, name) for name in (*TEXTS, *NUMBERS, *FLAGS, *MOMENTS, "company_size")}
    attributes = {name: who.attributes.get(name) for name in ATTRIBUTES.values()}
    loose_texts = {**attributes, "company_size": who.company_size}
    read = {f"{name}_number": None if text is None else number_of(text) for name, text in loose_texts.items()}
    lists = {name: list(getattr(who, name)) for name in LISTS}
    return {"id": number} | plain | attributes | read | lists


def context(who: Profile) -> dict[str, Any]:
    return {field.name: getattr(who, field.name) for field in fields(who)}


def answers(databases: Databases, source: str, who: Profile) -> dict[str, bool]:
    """What each of the four says of one person."""
    rules = [check(source, segments=SEGMENTS)]
    return {
        "python": in_python(rules, [who])[0][0],
        "sqlite": in_sql(databases.sqlite, rules, [who])[0][0],
        "postgresql": in_sql(databases.postgresql, rules, [who])[0][0],
        "template": in_template(rules, [who])[0][0],
    }
