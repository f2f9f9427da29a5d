"""Which mails of a dry run are parsed back from their bytes."""

from typing import Any

from fused_bench import FOLLOWED, written

from engine.message import CompiledTemplate, render_mail
from engine.pipeline.composing import Letter
from engine.pipeline.dry_running import _Findings

TEMPLATE = written("<p>{% if city == 'Oulu' %}new{% endif %} {{ city }}</p>", "{{ city }}")
PLAIN = written("<p>{% macro m() %}{{ city }}{% endmacro %}{{ m() }}</p>", "{{ city }}")


def looked_at(*cities: str, template: CompiledTemplate = TEMPLATE, found: _Findings | None = None) -> list[int]:
    """The numbers of those that are parsed, of a plan with a mail to somebody in each of these cities."""
    found = found or _Findings()
    numbers = []
    for number, city in enumerate(cities, 1):
        letter = to(number, city, template)
        if found.is_due(letter, render_mail(template, letter.context, FOLLOWED), number):
            numbers.append(number)
    return numbers


def to(number: int, city: str, template: CompiledTemplate = TEMPLATE) -> Letter:
    """The letter to somebody in this city."""
    context: dict[str, Any] = {"city": city}
    return Letter(
        delivery_id=f"d{number}",
        email=f"{number}@a.test",
        variant="only",
        template=template,
        context=context,
        tracked=True,
    )


def test_each_way_through_a_template_is_parsed_once_however_late_it_comes() -> None:
    assert [1, 40, 1001] == looked_at(*["Turku"] * 39, "Oulu", *["Turku", "Oulu"] * 490)


def test_mails_of_which_nothing_is_known_are_parsed_more_often() -> None:
    assert [1, 51, 101] == looked_at(*["Turku"] * 120, template=PLAIN)


def test_a_template_with_ways_without_end_does_not_parse_every_mail() -> None:
    many = written("".join(f"{{% if city == '{n}' %}}x{{% endif %}}" for n in range(200)) + "{{ city }}", "{{ city }}")

    assert [*range(1, 51), 51, 100, 150] == looked_at(*map(str, range(150)), template=many)
