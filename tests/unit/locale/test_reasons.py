"""Why a product is shown, as a sentence."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from engine.locale import reason

FOUR = {"code": "bought_times", "times": 4, "last": "2026-10-03"}
ONCE = {"code": "bought_times", "times": 1, "last": date(2026, 10, 3)}
BECAUSE = {"code": "because", "title": "Lavazza"}


@pytest.mark.parametrize(
    ("expected", "language", "stored"),
    [
        ("Bought 4 times, most recently on October\u00a03,\u00a02026", "en", FOUR),
        ("Ostettu 4 kertaa, viimeksi 3.\u00a0lokakuuta\u00a02026", "fi", FOUR),
        ("۴ بار خریده‌اید، آخرین بار ۱۱\u00a0مهر\u00a0۱۴۰۵", "fa", FOUR),
        ("Đã mua 4 lần, gần nhất là ngày 3\u00a0tháng\u00a010,\u00a02026", "vi", FOUR),
        ("Dibeli 4 kali, kali terakhir pada 3\u00a0Oktober\u00a02026", "ms", FOUR),
        ("已购买4次，最近一次是2026年10月3日", "zh", FOUR),
        ("已購買4次，最近一次是2026年10月3日", "zh_TW", FOUR),
        ("You bought this on October\u00a03,\u00a02026", "en", ONCE),
        ("آخرین خرید شما: ۱۱\u00a0مهر\u00a0۱۴۰۵", "fa", ONCE),
        ("Because you bought Lavazza", "en", BECAUSE),
        ("Koska ostit tuotteen Lavazza", "fi", BECAUSE),
        ("Vì bạn đã mua Lavazza", "vi", BECAUSE),
        ("Kerana anda pernah membeli Lavazza", "ms", BECAUSE),
        ("因为您买过“Lavazza”", "zh", BECAUSE),
        ("Popular right now", "en", {"code": "popular"}),
        ("Suosittu juuri nyt", "fi", {"code": "popular"}),
        ("این روزها پرطرفدار است", "fa", {"code": "popular"}),
    ],
)
def test_a_reason_is_a_whole_sentence_of_the_readers_language(
    expected: str, language: str, stored: Mapping[str, object]
) -> None:
    assert expected == reason(language, stored)


def test_a_title_that_runs_the_other_way_is_kept_apart() -> None:
    assert "چون «\u2068Lavazza\u2069» را خریده‌اید" == reason("fa", BECAUSE)
    assert "چون «چای» را خریده‌اید" == reason("fa", {"code": "because", "title": "چای"})


def test_braces_in_a_title_stay_as_they_are() -> None:
    assert "Because you bought {0} {{x}}" == reason("en", {"code": "because", "title": "{0} {{x}}"})


@pytest.mark.parametrize(
    ("expected", "stored"),
    [
        ("You have bought this once", {"code": "bought_times", "times": 1}),
        ("You have bought this 12 times", {"code": "bought_times", "times": 12, "last": None}),
        (
            "Bought 2 times, most recently on October\u00a03,\u00a02026",
            {"code": "bought_times", "times": 2, "last": datetime(2026, 10, 3, 8, tzinfo=UTC)},
        ),
    ],
)
def test_times_are_told_with_and_without_the_last_day(expected: str, stored: Mapping[str, object]) -> None:
    assert expected == reason("en", stored)


@pytest.mark.parametrize("stored", [{}, {"code": ""}, {"code": "because"}, {"code": "not known yet"}])
def test_no_reason_or_an_unknown_one_gives_no_sentence(stored: Mapping[str, object]) -> None:
    assert "" == reason("en", stored)


def test_a_language_without_words_here_gets_english_with_english_dates() -> None:
    assert "Bought 4 times, most recently on October\u00a03,\u00a02026" == reason("sv", FOUR)
