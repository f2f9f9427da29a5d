from datetime import UTC, datetime
from pathlib import Path

from engine.campaign import check_campaigns
from engine.model import Finding

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE = 'segment = "loyal"\ntemplate = "thanks"\nholdout = 0.1\n'


def found(folder: Path, text: str, **other: object) -> list[Finding]:
    (folder / "spring.toml").write_text(text, encoding="utf-8")
    around = {
        "templates": {"thanks": ("en", "fi"), "half": ("fi",)},
        "languages": ("en", "fi"),
        "transports": ("main",),
    }
    return check_campaigns(folder, ("loyal",), **{**around, "at": AT, **other})  # type: ignore[arg-type]


def told(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.code, one.severity.value, one.where.rpartition("/")[2]) for one in findings]


def test_a_sound_campaign_has_no_findings(tmp_path: Path) -> None:
    assert [] == found(tmp_path, BASE)


def test_a_broken_file_is_an_error_with_its_line(tmp_path: Path) -> None:
    assert [("bad_value", "error", "spring.toml:4")] == told(found(tmp_path, BASE + "goal = 'x'"))


def test_an_unknown_template_is_told_with_the_nearest(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, BASE.replace("thanks", "thank"))

    assert [("unknown_template", "error", "spring.toml:2")] == told([finding])
    assert "unknown template 'thank'; did you mean 'thanks'?" == finding.message


def test_an_unknown_template_of_a_variant_is_told_at_its_line(tmp_path: Path) -> None:
    text = BASE + "[[variant]]\nname = 'a'\n[[variant]]\nname = 'b'\ntemplate = 'nothing'"

    assert [("unknown_template", "error", "spring.toml:8")] == told(found(tmp_path, text))


def test_a_language_that_the_template_lacks_is_a_warning(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, BASE, languages=("en", "fi", "fa"))

    assert [("missing_language", "warning", "spring.toml:2")] == told([finding])
    assert "template 'thanks' is not written in fa; those contacts get it in en" == finding.message


def test_a_template_without_the_shops_first_language_is_an_error(tmp_path: Path) -> None:
    assert [("missing_fallback", "error", "spring.toml:2")] == told(found(tmp_path, BASE.replace("thanks", "half")))


def test_a_subject_for_some_languages_only_is_a_warning(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, BASE + "subject = { en = 'Hi' }")

    assert [("missing_language", "warning", "spring.toml:4")] == told([finding])


def test_a_subject_as_one_text_is_for_every_language(tmp_path: Path) -> None:
    assert [] == found(tmp_path, BASE + "subject = 'Hi'")


def test_an_unknown_transport_is_an_error(tmp_path: Path) -> None:
    assert [("unknown_transport", "error", "spring.toml:4")] == told(found(tmp_path, BASE + "transport = 'mian'"))


def test_a_window_too_short_for_orders_is_a_warning(tmp_path: Path) -> None:
    assert [("short_window", "warning", "spring.toml:4")] == told(found(tmp_path, BASE + "window = '3 days'"))
    assert [] == found(tmp_path, BASE.replace("holdout = 0.1", "goal = 'click'") + "window = '3 days'")


def test_a_holdout_cannot_be_measured_by_clicks(tmp_path: Path) -> None:
    assert [("holdout_cannot_click", "warning", "spring.toml:3")] == told(found(tmp_path, BASE + "goal = 'click'"))


def test_no_holdout_is_a_hint(tmp_path: Path) -> None:
    assert [("no_holdout", "info", "spring.toml:1")] == told(found(tmp_path, BASE.replace("holdout = 0.1", "")))


def test_two_variants_of_the_same_mail_are_a_warning(tmp_path: Path) -> None:
    text = BASE + "[[variant]]\nname = 'a'\n[[variant]]\nname = 'b'"

    assert [("same_variants", "warning", "spring.toml:6")] == told(found(tmp_path, text))


def test_a_campaign_that_is_over_before_it_begins_is_an_error(tmp_path: Path) -> None:
    text = BASE + "send_at = '2026-03-05 09:00 local'\nexpires = 2026-03-05T09:00:00Z"

    assert [("expired", "error", "spring.toml:5")] == told(found(tmp_path, text))


def test_a_day_in_the_past_is_a_warning(tmp_path: Path) -> None:
    assert [("past_send_at", "warning", "spring.toml:4")] == told(
        found(tmp_path, BASE + "send_at = '2026-02-28 09:00 local'")
    )


def test_a_sender_that_cannot_send_is_told_once_for_all(tmp_path: Path) -> None:
    assert [("sender", "error", "config.toml")] == told(found(tmp_path, BASE, sender_fault="from is no address"))


def test_one_campaign_can_be_checked_alone(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("nonsense")

    assert [] == found(tmp_path, BASE, only="spring")
    assert [("bad_toml", "error")] == [one[:2] for one in told(found(tmp_path, BASE))]
