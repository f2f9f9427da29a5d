from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.campaign import load, load_all, names
from engine.errors import BadCampaign, UnknownCampaign
from engine.model import Campaign, Variant

SEGMENTS = ("lapsed_regulars", "loyal")
HELSINKI = ZoneInfo("Europe/Helsinki")


def write(folder: Path, text: str, name: str = "spring") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str) -> list[str]:
    """What is said of a file, a fault each, without the folder."""
    with pytest.raises(BadCampaign) as caught:
        load(write(folder, text), SEGMENTS)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def test_every_key_of_a_file_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        segment      = "loyal"
        exclude      = "orders_count > 9"
        subject      = { en = "Hello", fi = "Hei" }
        goal         = "event:visit"
        window       = "2 weeks"
        holdout      = 0.1
        send_at      = "09:00 local"
        class        = "transactional"
        max_lateness = "6 hours"
        priority = 3
        expires      = 2026-12-24T12:00:00
        drift_limit  = 0.05
        transport    = "backup"
        uncertain    = "ask"

        [[variant]]
        name     = "plain"
        template = "winback"

        [[variant]]
        name                = "discount"
        share               = 0.25
        template            = "winback_discount"
        subject             = "5 euros for you"
        cost_per_conversion = 5
        """,
    )

    assert Campaign(
        name="spring",
        segment="loyal",
        where=None,
        exclude="orders_count > 9",
        goal="event:visit",
        window=timedelta(days=14),
        holdout=0.1,
        send_at="09:00 local",
        variants=(
            Variant(name="plain", share=0.75, template="winback", subject={"en": "Hello", "fi": "Hei"}),
            Variant(
                name="discount",
                share=0.25,
                template="winback_discount",
                subject={"*": "5 euros for you"},
                cost_per_conversion=5.0,
            ),
        ),
        message_class="transactional",
        max_lateness=timedelta(hours=6),
        priority=3,
        expires=datetime(2026, 12, 24, 10, tzinfo=UTC),  # the shop's clock
        drift_limit=0.05,
        transport="backup",
        uncertain="ask",
    ) == load(path, SEGMENTS, zone=HELSINKI)


def test_what_a_short_file_leaves_out_has_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, 'where = "orders_count > 1"\ntemplate = "winback"')

    assert Campaign(
        name="spring",
        segment=None,
        where="orders_count > 1",
        exclude=None,
        goal="order",
        window=timedelta(days=14),
        holdout=0.0,
        send_at="now",
        variants=(Variant(name="main", share=1.0, template="winback"),),
        drift_limit=0.02,
    ) == load(path, SEGMENTS, drift_limit=0.02)


def test_all_faults_of_a_file_come_in_one_error_with_their_lines(tmp_path: Path) -> None:
    assert [
        "spring.toml:1: unknown segment 'loyals'; did you mean 'loyal'?",
        "spring.toml:2: unknown key 'templat'; did you mean 'template'?",
        "spring.toml:3: holdout: Input should be less than 1",
        "spring.toml:4: window: '14 dogs' is not a duration; write it as '14 days', '2 hours' or '30 minutes'",
        "spring.toml:8: variant 'a' has no template, and the campaign has none",
        "spring.toml:10: unknown key 'variant.1.shar'; did you mean 'share'?",
    ] == faults(
        tmp_path,
        """segment = "loyals"
templat = "winback"
holdout = 1.5
window  = "14 dogs"
exclude = '''
orders_count > 1
'''
[[variant]]
name = "a"
shar = 0.5
""",
    )


SOUND = 'segment = "loyal"\ntemplate = "winback"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("template = 'x'", "spring.toml:1: a campaign needs either segment or where, and not both"),
        (SOUND + "where = 'age > 3'", "spring.toml:3: a campaign needs either segment or where, and not both"),
        ("segment = 'loyal'", "spring.toml:1: template is missing; it names a folder of templates/"),
        (
            SOUND + "repeat = 'monday 09:00'",
            "spring.toml:3: repeat: 'monday 09:00' is no repeat; write daily 09:00, mon,thu 09:00, weekdays 09:00 or "
            "monthly 1,last 09:00, then local or a zone if you like",
        ),
        (
            SOUND + "repeat = 'mon 09:00 local'\nsend_at = '10:00 local'",
            "spring.toml:4: a repeat by everybody's own clock brings its hour; leave send_at out, or `local`",
        ),
        (
            SOUND + "repeat = 'mon 09:00'\nsend_at = '2026-12-03 09:00 local'",
            "spring.toml:4: one date can't suit every time it comes round; leave the date out of send_at",
        ),
        (
            SOUND + "repeat = 'mon 09:00 local'\n[[variant]]\nname = 'a'\nsend_at = 'best hour'",
            "spring.toml:6: a repeat by everybody's own clock brings its hour; leave send_at out, or `local`",
        ),
        (
            SOUND + "[[variant]]\nname = 'a'\nsend_at = 'soon'",
            "spring.toml:5: variant.1.send_at: 'soon' is no time to send at; write now, 2026-12-03T09:00+02:00, "
            "2026-12-03 09:00 local, 09:00 local, best hour or 2026-12-03 best hour",
        ),
        (
            SOUND + "priority = 'high'",
            "spring.toml:3: priority: Input should be a valid integer",
        ),
        (
            SOUND + "goal = 'orders'",
            "spring.toml:3: goal: 'orders' is no goal; write order, click or event:NAME",
        ),
        (
            SOUND + "class = 'Promo!'",
            "spring.toml:3: class: 'Promo!' is no class; write a word of small letters, digits, - and _, "
            "such as newsletter",
        ),
        (SOUND + "holdout = '0.1'", "spring.toml:3: holdout: Input should be a valid number"),
        (SOUND + "window = '0 days'", "spring.toml:3: window: must be longer than nothing"),
        (SOUND + "window = '9999999999 days'", "spring.toml:3: window: '9999999999 days' is too long"),
        (
            SOUND + "send_at = 2026-12-03",
            "spring.toml:3: send_at: '2026-12-03' is no time to send at; write now, 2026-12-03T09:00+02:00, "
            "2026-12-03 09:00 local, 09:00 local, best hour or 2026-12-03 best hour",
        ),
        (
            SOUND + "expires = 'Christmas'",
            "spring.toml:3: expires: 'Christmas' is not a time; write it as 2026-12-03, 2026-12-03T09:00 or "
            "2026-12-03T09:00+02:00",
        ),
        (SOUND + "subject = ''", "spring.toml:3: subject: a subject is one line of text"),
        (
            SOUND + "[subject]\nen = 'Hi'\nFinnish = 'Hei'",
            "spring.toml:3: subject: 'Finnish' is no language code such as en or pt-BR",
        ),
        (SOUND + "[[variant]]\nshare = 1", "spring.toml:3: variant.1.name is missing"),
        (
            SOUND + "[[variant]]\nname = 'holdout'",
            "spring.toml:4: variant.1.name: 'holdout' is no variant name; use letters, digits, - and _ "
            "(holdout is taken)",
        ),
        (
            SOUND + "[[variant]]\nname = 'a'\n[[variant]]\nname = 'a'",
            "spring.toml:6: two variants are named 'a'",
        ),
        (
            SOUND + "[[variant]]\nname = 'a'\nshare = 0.5\n[[variant]]\nname = 'b'\nshare = 0.6",
            "spring.toml:5: the shares sum to 1.1, not to 1 (the holdout is taken before them)",
        ),
        (
            SOUND + "[[variant]]\nname = 'a'\nshare = 1.0\n[[variant]]\nname = 'b'",
            "spring.toml:5: the shares given sum to 1 and leave nothing to the variants without one",
        ),
        ("segment = \n", "spring.toml:1:11: not valid TOML: Invalid value"),
    ],
)
def test_a_fault_is_told_in_one_sentence_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    assert [fault] == faults(tmp_path, text)


def test_a_wrong_rule_is_told_with_line_and_column(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, SOUND + 'exclude = "order_count > 3"')

    assert fault.startswith("spring.toml:3:1: exclude: ")
    assert "did you mean 'orders_count'?" in fault


def test_a_key_inside_a_long_text_is_no_key(tmp_path: Path) -> None:
    text = 'template = "winback"\nwhere = """\norders_count > 1\n"""\nwindow = "a while"'

    (fault,) = faults(tmp_path, text)

    assert fault.startswith("spring.toml:5: window: ")


def test_a_file_of_another_encoding_is_a_fault_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "spring.toml"
    path.write_bytes("segment = 'mäntti'".encode("latin-1"))

    with pytest.raises(BadCampaign, match="must be UTF-8"):
        load(path, SEGMENTS)


def test_an_unknown_campaign_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, SOUND, "winback")

    with pytest.raises(UnknownCampaign, match="did you mean 'winback'"):
        load(tmp_path / "winbakc.toml", SEGMENTS)


def test_a_folder_gives_its_sound_campaigns_and_the_faults_of_the_others(tmp_path: Path) -> None:
    write(tmp_path, SOUND, "b_sound")
    write(tmp_path, SOUND + "goal = 7", "a_wrong")

    campaigns, findings = load_all(tmp_path, SEGMENTS)

    assert ["a_wrong", "b_sound"] == names(tmp_path)
    assert ["b_sound"] == [one.name for one in campaigns]
    assert [f"{tmp_path}/a_wrong.toml:3"] == [one.where for one in findings]


def test_a_name_that_would_not_fit_a_draw_or_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCampaign, match="can't name a campaign"):
        load(write(tmp_path, SOUND, "spring sale"), SEGMENTS)
