"""Which language a reader gets, what it is called, which way it runs."""

import pytest

from engine.locale import canonical, direction, language_name, negotiate


@pytest.mark.parametrize(
    ("expected", "language", "available"),
    [
        (("fa", False), "fa", ["en", "fa"]),
        (("zh_Hant", False), "zh_TW", ["en", "zh", "zh_Hant"]),
        (("zh_Hant", False), "zh-HK", ["en", "zh", "zh_Hant"]),
        (("zh", False), "zh_CN", ["en", "zh", "zh_Hant"]),
        (("zh_Hans", False), "zh", ["en", "zh_Hans"]),
        (("zh", True), "zh_TW", ["en", "zh"]),
        (("fa", False), "FA-IR", ["en", "fa"]),
        (("en_GB", False), "en-gb", ["en", "en_GB"]),
        (("en", False), "en_AU", ["en", "en_GB"]),
        (("pt_BR", False), "pt", ["en", "pt_BR"]),
        (("sr_Latn", True), "sr", ["en", "sr_Latn"]),
        (("he", False), "iw", ["en", "he"]),
        (("en", True), "sv", ["en", "fa"]),
        (("en", True), "gibberish", ["en", "fa"]),
        (("en", False), None, ["en", "fa"]),
        (("en", False), "", ["en", "fa"]),
    ],
)
def test_the_reader_gets_the_nearest_language_and_it_is_told_when_that_is_a_second_best(
    expected: tuple[str, bool], language: str | None, available: list[str]
) -> None:
    assert expected == negotiate(language, available, "en")


@pytest.mark.parametrize(
    ("expected", "language"),
    [("fi", " FI "), ("zh_Hant_TW", "zh-tw"), ("fa_IR", "fa-IR"), (None, "English"), (None, ""), (None, None)],
)
def test_a_language_has_one_spelling(expected: str | None, language: str | None) -> None:
    assert expected == canonical(language)


@pytest.mark.parametrize(
    ("expected", "language"),
    [("rtl", "fa"), ("rtl", "ar_EG"), ("rtl", "he"), ("ltr", "en"), ("ltr", "zh"), ("ltr", "qq"), ("ltr", None)],
)
def test_a_language_runs_one_way(expected: str, language: str | None) -> None:
    assert expected == direction(language)


@pytest.mark.parametrize(
    ("expected", "language", "shown_in"),
    [("suomi", "fi", None), ("فارسی", "fa", None), ("Finnish", "fi", "en"), ("kiina", "zh", "fi"), ("qq", "qq", "en")],
)
def test_a_language_is_called_by_its_own_name_or_the_readers(
    expected: str, language: str, shown_in: str | None
) -> None:
    assert expected == language_name(language, shown_in)
