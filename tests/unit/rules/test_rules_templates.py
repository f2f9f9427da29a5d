"""Templates under the rule language: what Missing does when it is printed, filtered, walked into or cured."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jinja2 import UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from engine.errors import UnknownSegment
from engine.rules import MISSING, MissingPrinted, check, is_missing, prepare, seen, seen_all

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rendered(text: str, values: dict[str, Any], **prepared: Any) -> str:
    environment = SandboxedEnvironment(autoescape=True)
    prepare(environment, AT, **prepared)
    return environment.from_string(text).render(seen_all(values))


def test_printing_a_missing_value_names_the_field_and_the_cure() -> None:
    with pytest.raises(MissingPrinted) as refused:
        rendered("Hi {{ given_name }}", {"given_name": None})

    assert "given_name is missing for this contact; write {{ given_name | default('...') }}" == str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ given_name | upper }}",
        "{{ given_name | e }}",
        "{{ 'Hi ' ~ given_name }}",
        "{{ age + 1 }}",
        "{{ -age }}",
        "{{ 10 / orders_count }}",
        "{{ favourite_product.title }}",
        "{{ favourite_product['title'] }}",
        "{{ attributes.colour }}",
        "{{ last_purchases[0].price }}",
        "{% for x in favourite_product %}{% endfor %}",
        "{{ given_name or age }}",
    ],
)
def test_a_missing_value_can_reach_no_mail_by_any_way(text: str) -> None:
    values = {
        "given_name": None,
        "age": None,
        "orders_count": 0,
        "favourite_product": None,
        "attributes": {},
        "last_purchases": [{"title": "Tea", "price": None}],
    }

    with pytest.raises(MissingPrinted, match="is missing for this contact"):
        rendered(text, values)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ given_name | default('friend') }}", "friend"),
        ("{{ given_name | upper | default('friend') }}", "friend"),
        ("{{ given_name | d('friend') }}", "friend"),
        ("{{ given_name or 'friend' }}", "friend"),
        ("{{ age + 1 if age is not missing else 'ageless' }}", "ageless"),
        ("{{ favourite_product.title | default('tea') }}", "tea"),
        ("{{ attributes['shoe size'] | default(40) }}", "40"),
        ("{{ tags | join(', ') }}!", "!"),
        ("{{ city | default('x') | upper }}", "TURKU"),
        ("{{ orders_count * 2 }}", "4"),
        ("{{ orders_count / 2 }}", "1.0"),
        ("{{ city + '!' }}", "TURKU!"),
        ("{{ 'a' if 'URK' in city }}", "a"),
        ("{{ 'none' if created_at > ago('1 day') else 'old' }}", "old"),
        ("{% for x in [3, 1] %}{% if x > loop.index %}{{ x }}{% endif %}{% endfor %}", "3"),
        ("{% if given_name is defined %}yes{% else %}no{% endif %}", "no"),
    ],
)
def test_a_default_cures_a_missing_value_and_the_rest_of_jinja_works_on(text: str, shown: str) -> None:
    created = AT - timedelta(days=9)
    values = {"given_name": None, "age": None, "favourite_product": None, "attributes": {}, "tags": []}

    assert shown == rendered(text, values | {"city": "TURKU", "orders_count": 2, "created_at": created})


@pytest.mark.parametrize(
    "text",
    [
        "{{ nothing }}",
        "{% if nothing == 1 %}{% endif %}",
        "{% if 1 == nothing %}{% endif %}",
        "{% if nothing is missing %}{% endif %}",
        "{% if nothing in [1] %}{% endif %}",
        "{% if 1 in nothing %}{% endif %}",
        "{% if nothing < given_name %}{% endif %}",
        "{{ nothing + 1 }}",
        "{{ -nothing }}",
    ],
)
def test_an_unknown_name_stays_an_error(text: str) -> None:
    with pytest.raises(UndefinedError, match="'nothing' is undefined"):
        rendered(text, {"given_name": None})


def test_a_frozen_context_of_json_values_is_seen_as_the_profile_was() -> None:
    frozen = {
        "last_order_at": "2025-12-01T12:00:00+00:00",
        "company_size": "12",
        "tags": ["vip"],
        "attributes": {"size": "9"},
        "mailing_consent": True,
    }
    rule = "last_order_at == ago('90 days') and company_size > 9 and attributes.size < 10 and 'vip' in tags"

    assert "yes" == rendered(f"{{% if {rule} and mailing_consent %}}yes{{% endif %}}", frozen)


def test_a_segment_is_asked_on_the_contexts_fields_whatever_the_template_has_set() -> None:
    segments = {"big": check("orders_count > 5 or attributes.vip == 'yes'")}
    text = "{% set orders_count = 9 %}{{ segment('big') }}"

    assert "False" == rendered(text, {"orders_count": 2, "attributes": {}}, segments=segments)
    assert "True" == rendered(text, {"orders_count": 2, "attributes": {"vip": "yes"}}, segments=segments)


def test_a_frozen_answer_about_a_segment_is_taken_as_it_was() -> None:
    assert "True" == rendered("{{ segment('big') }}", {"segments": {"big": True}})


def test_a_field_that_only_a_segment_asks_for_must_be_in_the_context_too() -> None:
    with pytest.raises(UndefinedError, match="'age' is undefined, and a segment asks for it"):
        rendered("{{ segment('old') }}", {"city": "Oulu"}, segments={"old": check("age > 60")})


def test_a_segment_nobody_handed_in_is_an_error() -> None:
    with pytest.raises(UnknownSegment, match="segment 'big' is not defined"):
        rendered("{{ segment('big') }}", {})


def test_an_environment_prepared_again_tells_another_time_to_compiled_templates() -> None:
    environment = SandboxedEnvironment()
    prepare(environment, AT)
    template = environment.from_string("{{ ago('1 day') }}")

    prepare(environment, AT + timedelta(days=10))

    assert "2026-03-10 12:00:00+00:00" == template.render()


def test_a_filter_added_before_preparing_never_meets_a_missing_value() -> None:
    environment = SandboxedEnvironment()
    environment.filters["shout"] = lambda text: text.upper() + "!"
    prepare(environment, AT)
    template = environment.from_string("{{ given_name | shout | default('?') }}")

    assert ["?", "ANNA!"] == [template.render(seen_all({"given_name": name})) for name in (None, "Anna")]


def test_seen_turns_none_into_missing_but_never_a_list() -> None:
    assert is_missing(seen(None))
    assert MISSING == seen(None, "age")
    assert () == seen(None, "tags")
    assert 0 == seen(0, "age")
