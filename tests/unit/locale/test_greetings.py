"""How a letter begins, in each language, by each rule, and what is never called a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.locale import greeting

FALLBACKS = {
    "en": "Hello,",
    "fi": "Hei,",
    "fa": "سلام،",
    "vi": "Chào bạn,",
    "ms": "Salam sejahtera,",
    "zh": "您好！",
}

JUNK = [
    "",
    "   ",
    "TEST",
    "Test User",
    "null",
    "None",
    "undefined",
    "nan",
    "NaN",
    "n/a",
    "...",
    "---",
    "'",
    "x",
    "A.",
    "aaaa",
    "anna.smith",
    "anna_smith",
    "anna@example.com",
    "Anna1",
    "۱۲۳",
    "{{7*7}}",
    "{% raw %}",
    "{{{x}}}",
    "%recipient.x%",
    "-name-",
    "[[var]]",
    "<b>Anna</b>",
    "&amp;",
    "Anna (work)",
    'Robert "Bob"',
    "=cmd|' /C calc'!A0",
    "Anna\r\nBcc: someone",
    "Anna🌸",
    "\u200b",
    "\u202eannA",
    "\ud800",
    "Z\u0336\u0321\u0348\u0300a",
    "Anna\x00",
    "A" + "n" * 40,
]


@pytest.mark.parametrize("name", JUNK, ids=ascii)
@pytest.mark.parametrize("language", FALLBACKS)
def test_a_name_nobody_bears_gives_the_phrase_without_a_name(language: str, name: str) -> None:
    assert FALLBACKS[language] == greeting(language, name, name, name, None, None)


@pytest.mark.parametrize("language", FALLBACKS)
def test_no_name_at_all_gives_the_phrase_without_a_name(language: str) -> None:
    assert FALLBACKS[language] == greeting(language)


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        ("Hi Anna,", "Anna"),
        ("Hi Anna,", "  Anna\u00a0 "),
        ("Hi Anna,", "ANNA"),
        ("Hi Anna,", "anna"),
        ("Hi Anna-Maria,", "ANNA-MARIA"),
        ("Hi D'Arcy,", "d'arcy"),
        ("Hi Kate O'Neil,", "KATE O'NEIL"),
        ("Hi AJ,", "AJ"),
        ("Hi McKenna,", "McKenna"),
        ("Hi J.R.,", "J.R."),
        ("Hi Nan,", "Nan"),
        ("Hi Øystein,", "Øystein"),
        ("Hi Tom & Sue,", "Tom & Sue"),
        ("Hi Zoë,", "Zoe\u0308"),
    ],
)
def test_english_greets_by_the_given_name_as_its_owner_writes_it(expected: str, name: str) -> None:
    assert expected == greeting("en", name, None, None, None, None)


def test_english_takes_title_and_family_name_when_no_given_name_is_known() -> None:
    assert "Hello Dr Smith," == greeting("en", None, "SMITH", None, "DR", None)


def test_english_takes_the_full_name_when_its_parts_are_not_known() -> None:
    assert "Hello Anna Smith," == greeting("en", None, None, "anna smith", None, None)


def test_finnish_greets_by_the_first_name_uninflected() -> None:
    assert "Hei Väinö," == greeting("fi", "Väinö", "Virtanen", "Väinö Virtanen", None, None)


def test_finnish_goes_without_a_name_when_the_first_name_is_not_known() -> None:
    assert "Hei," == greeting("fi", None, "Virtanen", "Virtanen Väinö", "herra", "m")


@pytest.mark.parametrize(
    ("expected", "given_name", "family_name", "honorific", "gender"),
    [
        ("آقای احمدی عزیز،", "علی", "احمدی", None, "male"),
        ("خانم احمدی عزیز،", "مریم", "احمدی", None, "F"),
        ("دکتر احمدی عزیز،", "مریم", "احمدی", "دکتر", "f"),
        ("آقای احمدی عزیز،", None, "احمدی", "Mr.", None),
        ("مریم عزیز،", "مریم", "احمدی", None, None),
        ("علی‌اصغر عزیز،", "علی‌اصغر", None, None, "m"),
        ("سلام سارا،", "سارا", None, None, None),
        ("سلام خانم دانا،", None, "دانا", None, "f"),
        ("سلام Sara،", "Sara", "Ahmadi", None, "f"),
        ("سلام،", None, "احمدی", None, None),
    ],
)
def test_persian_takes_title_and_family_name_or_the_given_name(
    expected: str, given_name: str | None, family_name: str | None, honorific: str | None, gender: str | None
) -> None:
    assert expected == greeting("fa", given_name, family_name, None, honorific, gender)


@pytest.mark.parametrize(
    ("expected", "given_name", "full_name"),
    [
        ("Chào An,", None, "Nguyễn Văn An"),
        ("Chào An,", "Văn An", "Nguyễn Văn An"),
        ("Chào Hạnh,", "HẠNH", None),
        ("Chào bạn,", None, "An Nguyen"),
    ],
)
def test_vietnamese_greets_by_the_last_word_of_the_name(expected: str, given_name: str | None, full_name: str) -> None:
    assert expected == greeting("vi", given_name, "Nguyễn", full_name, None, "m")


@pytest.mark.parametrize(
    ("expected", "given_name", "full_name", "honorific"),
    [
        ("Hai Ahmad,", None, "Ahmad bin Ali", None),
        ("Hai Siti Nurhaliza,", None, "SITI NURHALIZA BINTI TARUDIN", None),
        ("Hai Ravi,", None, "Ravi a/l Muthusamy", None),
        ("Hai Kavitha,", "Kavitha A/P Raman", None, None),
        ("Hai Tan Wei Ling,", None, "Tan Wei Ling", None),
        ("Hai Nur Aisyah,", "Nur Aisyah", None, None),
        ("Salam sejahtera Dato' Ahmad,", None, "Dato' Ahmad bin Ali", "Dato'"),
        ("Salam sejahtera Puan Siti,", "Siti", "binti Tarudin", "Mrs"),
    ],
)
def test_malay_takes_the_own_name_and_keeps_titles(
    expected: str, given_name: str | None, full_name: str | None, honorific: str | None
) -> None:
    assert expected == greeting("ms", given_name, None, full_name, honorific, None)


@pytest.mark.parametrize(
    ("expected", "given_name", "family_name", "full_name", "honorific", "gender"),
    [
        ("王先生，您好！", "小明", "王", "王小明", None, "male"),
        ("欧阳女士，您好！", "娜", "欧阳", None, "Ms", None),
        ("李老师，您好！", None, "李", None, "老师", "女"),
        ("王小明，您好！", "小明", "王", None, None, None),
        ("王小明，您好！", None, None, "王 小明", None, None),
        ("Wei Wang，您好！", "Wei", "Wang", "Wei Wang", None, "m"),
        ("您好！", "小明", None, None, None, None),
        ("您好！", "小明", None, "小明", None, None),
        ("您好！", None, "王", None, None, None),
    ],
)
def test_chinese_never_takes_the_given_name_alone(
    expected: str,
    given_name: str | None,
    family_name: str | None,
    full_name: str | None,
    honorific: str | None,
    gender: str | None,
) -> None:
    assert expected == greeting("zh", given_name, family_name, full_name, honorific, gender)


@pytest.mark.parametrize("language", ["zh_TW", "zh-Hans-CN", "ZH"])
def test_a_spelling_of_the_same_language_is_greeted_in_it(language: str) -> None:
    assert "您好！" == greeting(language)


@pytest.mark.parametrize("language", ["sv", "qq", "", None])
def test_a_language_without_words_here_is_greeted_in_english(language: str | None) -> None:
    assert "Hi Åsa," == greeting(language, "Åsa")


@given(st.sampled_from(sorted(FALLBACKS)), st.text(max_size=50), st.text(max_size=50), st.text(max_size=90))
def test_whatever_stands_in_the_columns_the_phrase_is_one_clean_line(
    language: str, given_name: str, family_name: str, full_name: str
) -> None:
    phrase = greeting(language, given_name, family_name, full_name, given_name, "f")

    assert phrase.isprintable() or "\u200c" in phrase or "\u200d" in phrase
    assert not set(phrase) & set('{}<>[]%@\r\n"')
    assert phrase.endswith((",", "،", "！"))
    assert len(phrase) < 110
