"""Why is this product shown to this reader? Said in a short sentence of her own language."""

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime

from engine.locale.figures import day, number
from engine.locale.languages import direction, spoken

# Whole sentences, one for each case. Titles stand where no grammar touches them.
_ONCE = {
    "en": "You have bought this once",
    "fi": "Olet ostanut tätä kerran",
    "fa": "یک بار خریده‌اید",
    "vi": "Bạn đã mua 1 lần",
    "ms": "Anda pernah membelinya sekali",
    "zh": "您买过1次",
    "zh_Hant": "您買過1次",
}
_ONCE_ON = {
    "en": "You bought this on {last}",
    "fi": "Ostit tätä viimeksi {last}",
    "fa": "آخرین خرید شما: {last}",
    "vi": "Bạn đã mua vào ngày {last}",
    "ms": "Anda membelinya pada {last}",
    "zh": "您曾于{last}购买",
    "zh_Hant": "您曾於{last}購買",
}
_TIMES = {
    "en": "You have bought this {times} times",
    "fi": "Olet ostanut tätä {times} kertaa",
    "fa": "{times} بار خریده‌اید",
    "vi": "Bạn đã mua {times} lần",
    "ms": "Anda pernah membelinya {times} kali",
    "zh": "您已购买{times}次",
    "zh_Hant": "您已購買{times}次",
}
_TIMES_LAST = {
    "en": "Bought {times} times, most recently on {last}",
    "fi": "Ostettu {times} kertaa, viimeksi {last}",
    "fa": "{times} بار خریده‌اید، آخرین بار {last}",
    "vi": "Đã mua {times} lần, gần nhất là ngày {last}",
    "ms": "Dibeli {times} kali, kali terakhir pada {last}",
    "zh": "已购买{times}次，最近一次是{last}",
    "zh_Hant": "已購買{times}次，最近一次是{last}",
}
_BECAUSE = {
    "en": "Because you bought {title}",
    "fi": "Koska ostit tuotteen {title}",
    "fa": "چون «{title}» را خریده‌اید",
    "vi": "Vì bạn đã mua {title}",
    "ms": "Kerana anda pernah membeli {title}",
    "zh": "因为您买过“{title}”",
    "zh_Hant": "因為您買過「{title}」",
}
_POPULAR = {
    "en": "Popular right now",
    "fi": "Suosittu juuri nyt",
    "fa": "این روزها پرطرفدار است",
    "vi": "Đang được nhiều người yêu thích",
    "ms": "Pilihan ramai ketika ini",
    "zh": "近期热销",
    "zh_Hant": "近期熱銷",
}


def reason(language: str | None, reason: Mapping[str, object]) -> str:
    """The sentence for a stored reason; empty for none, and for a code that is not known here.

    Codes: `bought_times` {times, last: a day or its ISO form, may be absent}, `because` {title}, `popular` {}.
    """
    code, speech = reason.get("code"), spoken(language, _POPULAR)
    if code == "bought_times":
        return _bought(speech, int(str(reason.get("times") or 1)), _day_of(reason.get("last")))
    if code == "because" and reason.get("title"):
        return _BECAUSE[speech].format(title=_isolated(str(reason["title"]), speech))
    return _POPULAR[speech] if code == "popular" else ""


def _bought(speech: str, times: int, last: date | None) -> str:
    if last is None:
        return (_ONCE if times == 1 else _TIMES)[speech].format(times=number(times, speech))
    unbroken = day(last, speech).replace(" ", "\u00a0")  # cards are narrow, and a date torn over two lines reads badly
    return (_ONCE_ON if times == 1 else _TIMES_LAST)[speech].format(times=number(times, speech), last=unbroken)


def _day_of(value: object) -> date | None:
    if isinstance(value, str) and value:
        return datetime.fromisoformat(value).date()
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else None


def _isolated(title: str, speech: str) -> str:
    """A title that runs the other way is wrapped (FSI ... PDI), so that it can't turn the sentence round."""
    strong = next((kind for mark in title if (kind := unicodedata.bidirectional(mark)) in ("L", "R", "AL")), "")
    runs = {"L": "ltr", "R": "rtl", "AL": "rtl"}.get(strong, "")
    return title if runs in ("", direction(speech)) else f"\u2068{title}\u2069"
