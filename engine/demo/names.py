"""What are the panel's households called? Our own lists for six languages; a household always gets the same name."""

import random
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up person: `latin` is what the address is made of."""

    language: str
    given_name: str
    family_name: str
    full_name: str
    honorific: str
    gender: str
    latin: str


# (given, latin, gender); families are (family, latin)
_GIVEN = {
    "en": "Anna:f Emily:f Grace:f Olivia:f Ruth:f Daniel:m James:m Noah:m Peter:m Thomas:m",
    "fi": "Aino:f Helmi:f Kaisa:f Liisa:f Väinö:m Eero:m Juhani:m Mikko:m Onni:m Sanna:f",
    "vi": "An:f Bình:m Chi:f Dũng:m Hạnh:f Hoa:f Khánh:m Lan:f Minh:m Tuấn:m",
    "ms": "Aisyah:f Farah:f Nurul:f Siti:f Zainab:f Ahmad:m Faiz:m Hafiz:m Ismail:m Rahman:m",
    "zh": "静:Jing:f 丽:Li:f 敏:Min:f 秀英:Xiuying:f 雪:Xue:f 磊:Lei:m 强:Qiang:m 涛:Tao:m 伟:Wei:m 勇:Yong:m",
    "fa": "زهرا:Zahra:f مریم:Maryam:f نرگس:Narges:f سارا:Sara:f لیلا:Leila:f "
    "علی:Ali:m حسین:Hossein:m محمد:Mohammad:m رضا:Reza:m امیر:Amir:m",
}
_FAMILIES = {
    "en": "Baker Carter Evans Foster Hughes Miller Parker Reed Turner Walker",
    "fi": "Hämäläinen Järvinen Korhonen Laine Mäkinen Nieminen Virtanen Koskinen Heikkinen Salo",
    "vi": "Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Đặng Bùi",
    "ms": "Abdullah Hassan Ibrahim Osman Yusof Razak Salleh Karim Aziz Hamid",
    "zh": "王:Wang 李:Li 张:Zhang 刘:Liu 陈:Chen 杨:Yang 赵:Zhao 黄:Huang 周:Zhou 吴:Wu",
    "fa": "احمدی:Ahmadi محمدی:Mohammadi حسینی:Hosseini رضایی:Rezaei کریمی:Karimi "
    "موسوی:Mousavi جعفری:Jafari صادقی:Sadeghi رحیمی:Rahimi قاسمی:Ghasemi",
}
_LANGUAGES = {"en": 46, "fi": 14, "fa": 10, "vi": 10, "ms": 10, "zh": 10}  # per cent of the households
_LATIN = str.maketrans("äöåÄÖÅ", "aoaAOA")


def person_for(household: int) -> Person:
    """The name of a household: drawn by its number, so every demo tells of the same people."""
    draw = random.Random(f"household {household}")
    language = draw.choices(list(_LANGUAGES), weights=list(_LANGUAGES.values()))[0]
    *given, gender = draw.choice(_GIVEN[language].split()).split(":")
    family = draw.choice(_FAMILIES[language].split()).split(":")
    latin = f"{_plain(given[-1])}.{_plain(family[-1])}"
    return Person(
        language=language,
        given_name=given[0],
        family_name=family[0],
        full_name=_full(language, given[0], family[0], gender),
        honorific=_honorific(language, gender),
        gender=gender,
        latin=latin,
    )


def _full(language: str, given: str, family: str, gender: str) -> str:
    if language == "zh":
        return family + given
    if language == "vi":
        return f"{family} {'Thị' if gender == 'f' else 'Văn'} {given}"
    if language == "ms":
        return f"{given} {'binti' if gender == 'f' else 'bin'} {family}"
    return f"{given} {family}"


def _honorific(language: str, gender: str) -> str:
    return {"fa": {"m": "آقای", "f": "خانم"}, "zh": {"m": "先生", "f": "女士"}}.get(language, {}).get(gender, "")


def _plain(name: str) -> str:
    """The letters a to z of a name, for an address."""
    folded = unicodedata.normalize("NFKD", name.translate(_LATIN).replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in folded.lower() if letter.isascii() and letter.isalpha())
