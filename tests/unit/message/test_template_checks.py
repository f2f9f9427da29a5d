"""Findings of templates and of finished messages: a fault is named once, a clean one gives none."""

from pathlib import Path

import pytest
from message_bench import mjml, write

from engine.message import Rendered, findings_in, lint_template

FOOTER = '<mj-text><a href="{{ links.unsubscribe }}">Bye</a> [[ shop.postal_address ]]</mj-text>'
HEAD = "<mj-title>Subject</mj-title><mj-preview>A preheader that is neither too short nor too long.</mj-preview>"


def lint(folder: Path, body: str, head: str = HEAD, footer: str = FOOTER) -> list[tuple[str, str]]:
    source = mjml(f"<mj-section><mj-column>\n{body}\n{footer}</mj-column></mj-section>", head=head, wrap=False)
    found = lint_template(write(folder / "winback", en_mjml=source))
    return [(one.code, f"{one.where} {one.message}") for one in found]


def test_a_clean_template_has_no_findings(tmp_path: Path) -> None:
    assert [] == lint(tmp_path, "<mj-text>{{ greeting }} {{ city | default('x') }}</mj-text>")


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("<mj-txet>x</mj-txet>", "ML002", "winback/en.mjml:4:1 there is no element <mj-txet>; did you mean 'mj-text'?"),
        ('<mj-text colour="red">x</mj-text>', "ML002", "4:10 <mj-text> has no attribute 'colour'; did you mean"),
        ("<mj-section><mj-column /></mj-section>", "ML002", "<mj-section> can't stand directly in <mj-column>"),
        ('<mj-button href="https://a.test" title="x">x</mj-button>', "ML002", "title has no effect"),
        ('<mj-image src="https://a.test/x.png" />', "ML003", "winback/en.mjml:4:1 <mj-image> has no alt"),
        ('<mj-text><img src="https://a.test/x.png" /></mj-text>', "ML003", "<img> has no alt"),
        ("<mj-navbar></mj-navbar><mj-navbar></mj-navbar>", "ML006", "winback/en.mjml:4:24 a second <mj-navbar>"),
        ("<mj-text>{{ city }}</mj-text>", "ML007", "winback/en.mjml:4:1 city may be missing"),
        ("<mj-text>{{ attributes.size | upper }}</mj-text>", "ML007", "attributes.size may be missing"),
        ("<mj-text>{{ _('Hi {x}', x=given_name) }}</mj-text>", "ML007", "given_name may be missing"),
        ("<mj-text>{{ ciyt }}</mj-text>", "ML001", "there is no field 'ciyt'; did you mean 'city'?"),
        ("<mj-text>a < b</mj-text>", "ML001", "winback/en.mjml:4:12 a bare '<'"),
        ('<mj-image alt="" src="https://a.test/x.png" width="{{ age }}" />', "ML001", "would be lost"),
    ],
)  # fmt: skip
def test_a_fault_of_a_template_is_found(tmp_path: Path, body: str, code: str, said: str) -> None:
    assert any(code == found and said in told for found, told in lint(tmp_path, body)), lint(tmp_path, body)


@pytest.mark.parametrize(
    "body",
    [
        "{% if city %}{{ city }}{% endif %}",
        "{% if city is not missing %}{{ city | upper }}{% endif %}",
        "{{ city | default('your town') }}",
        "{% for c in buy_again %}{% if c.price is not missing %}{{ c.price }}{% endif %}{{ c.title }}{% endfor %}",
    ],
)
def test_a_value_that_was_asked_for_needs_no_default(tmp_path: Path, body: str) -> None:
    assert [] == lint(tmp_path, f"<mj-text>{body}</mj-text>")


def test_a_message_needs_a_way_out_and_an_address_in_both_parts(tmp_path: Path) -> None:
    found = [code for code, _ in lint(tmp_path, "<mj-text>x</mj-text>", footer="")]

    assert ["ML004", "ML005", "ML004", "ML005"] == found


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("<mj-title>S</mj-title>", "ML008"),
        ("<mj-title>S</mj-title><mj-preview>short</mj-preview>", "ML008"),
        (HEAD.replace("Subject", "S" * 71), "ML009"),
        (HEAD.replace("Subject", "好" * 36), "ML009"),
    ],
)
def test_subject_and_preheader_have_a_good_length(tmp_path: Path, head: str, code: str) -> None:
    assert [code] == [found for found, _ in lint(tmp_path, "<mj-text>x</mj-text>", head)]


def test_a_translation_with_other_slots_is_found(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "winback",
        body_mjml=mjml(f"{{{{ _('Hi {{x}}', x=greeting) }}}}</mj-text>{FOOTER}<mj-text>", head=HEAD),
        catalog_toml='[fi]\n"Hi {x}" = "Hei {y}"\n',
    )

    assert ["ML010"] == [one.code for one in lint_template(folder) if one.code == "ML010"]


def test_an_empty_folder_is_no_template(tmp_path: Path) -> None:
    (tmp_path / "winback").mkdir()

    assert ["ML001"] == [one.code for one in lint_template(tmp_path / "winback")]


def finished(html: str = "x", text: str = "fine", subject: str = "Subject") -> Rendered:
    return Rendered(subject=subject, preheader="p", html=f"<html><body>{html}</body></html>", text=text)


def test_a_good_message_has_no_findings() -> None:
    good = finished(
        '<p>Hi Anna,</p><p>Hello,</p><a href="https://a.test/x?y=1">Nancy None-such</a>', "Hi Anna,\nHello,"
    )

    assert [] == findings_in(good)


def test_a_message_of_empty_lines_is_looked_at_to_its_end() -> None:
    gap = "\n \t\u2028" * 50_000

    assert ["ML020"] == [one.code for one in findings_in(finished(text=f"Anna{gap}\n \u2028Hi\n ,"))]
    assert [] == findings_in(finished(text=f"Anna{gap}Hi Anna,"))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (finished("<p>Hi ,</p>"), "ML020"),
        (finished("<p>Hello !</p>"), "ML020"),
        (finished(text="Dear ,\n"), "ML020"),
        (finished("<p>{{ name }}</p>"), "ML021"),
        (finished("<p>%recipient.name%</p>"), "ML021"),
        (finished(subject="{% if %}"), "ML021"),
        (finished("<p>You bought None</p>"), "ML022"),
        (finished("<p>nan points</p>"), "ML022"),
        (finished("<p>Lorem ipsum</p>"), "ML022"),
        (finished(text="undefined"), "ML022"),
        (finished('<a href="https://localhost:8000/x">x</a>'), "ML023"),
        (finished('<a href="https://www.example.com">x</a>'), "ML023"),
        (finished("<p>" + "x" * 100_001 + "</p>"), "ML024"),
        (finished('<a href="/x">x</a>'), "ML025"),
        (finished('<a href="https://">x</a>'), "ML025"),
        (finished('<img src="x.png">'), "ML025"),
        (finished(text=" \n"), "ML026"),
        (finished(subject=""), "ML027"),
    ],
)
def test_something_odd_in_a_message_is_found(message: Rendered, code: str) -> None:
    assert [code] == [one.code for one in findings_in(message)]


def test_a_message_that_gmail_cuts_off_is_an_error() -> None:
    (found,) = findings_in(finished("é" * 51_200))

    assert ("ML024", "error") == (found.code, found.severity)
