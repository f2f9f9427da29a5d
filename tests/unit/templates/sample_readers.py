"""Believable readers of a coffee and grocery shop, one a language: the recipes are tried and pictured with them."""

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from engine.locale import greeting, reason
from engine.message import (
    CompiledTemplate,
    LinkAddresses,
    Rendered,
    ShopView,
    compile_template,
    context_for,
    render,
)
from engine.model import Card, Picks, Profile

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEMPLATES = Path(__file__).parents[3] / "templates"
LAYOUT = TEMPLATES / "_layout"
ADDRESSES = LinkAddresses(
    unsubscribe="https://mail.shop.test/u/token",
    preferences="https://mail.shop.test/p/token",
    view="https://mail.shop.test/v/token",
)
# Chromium as Debian's package `chromium` installs it, asking nobody anything.
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_SWITCHES = [
    *"--no-sandbox --disable-gpu --disable-background-networking --disable-component-update".split(),
    *"--disable-sync --no-first-run".split(),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no picture is fetched from anywhere
]
RECIPES = ("winback", "winback_discount", "cross_sell", "loyalty")
JOURNEY_RECIPES = (
    *("welcome_1", "welcome_2", "welcome_3", "replenish", "basket_1", "basket_2", "winback_last", "milestone"),
    *("birthday", "referral", "survey", "survey_reminder", "repermission", "repermission_last"),
)
LANGUAGES = ("en", "fi", "fa", "vi", "ms", "zh")

SHOPS = {
    "en": ("Harbour & Hill", "14 Quay Street, Bristol BS1 4DJ, United Kingdom", "GBP"),
    "fi": ("Kulmapuoti", "Mannerheimintie 12, 00100 Helsinki", "EUR"),
    "fa": ("کافه‌کالا", "تهران، خیابان ولیعصر، پلاک ۱۲۰", "IRR"),
    "vi": ("Hạt Nắng", "25 Lê Lợi, Quận 1, Thành phố Hồ Chí Minh", "VND"),
    "ms": ("Kedai Kopi Seri", "8 Jalan Ampang, 50450 Kuala Lumpur", "MYR"),
    "zh": ("山野咖啡", "上海市静安区南京西路100号", "CNY"),
}

NAMES: dict[str, tuple[str | None, str | None, str | None, str | None]] = {  # given, family, full, gender
    "en": ("Anna", "Bennett", "Anna Bennett", "f"),
    "fi": ("Väinö", "Järvinen", "Väinö Järvinen", "m"),
    "fa": ("مریم", "احمدی", "مریم احمدی", "f"),
    "vi": ("Văn An", "Nguyễn", "Nguyễn Văn An", "m"),
    "ms": ("Siti Nurhaliza", "binti Ahmad", "Siti Nurhaliza binti Ahmad", "f"),
    "zh": ("小明", "王", "王小明", "m"),
}

# Titles and prices: three bought last, two to buy again, two new.
GOODS: dict[str, list[tuple[str, float]]] = {
    "en": [
        ("Ethiopia Yirgacheffe, whole beans 250 g", 11.5),
        ("Oat drink barista 1 l", 2.4),
        ("Seeded rye crispbread", 3.2),
        ("House espresso blend 1 kg", 24.0),
        ("Wildflower honey 340 g", 7.8),
        ("Dark chocolate with sea salt, 70% cocoa", 4.5),
        ("Stovetop moka pot, six cups", 32.0),
    ],
    "fi": [
        ("Etiopia Yirgacheffe, kahvipavut 250 g", 9.9),
        ("Kauravalmiste barista 1 l", 2.35),
        ("Ruisnäkkileipä siemenillä", 3.1),
        ("Talon espressosekoitus 1 kg", 21.9),
        ("Metsäkukkahunaja 350 g", 7.5),
        ("Merisuolainen tumma suklaa, kaakaota 70\u00a0%", 4.2),
        ("Mutteripannu kuudelle kupille", 29.0),
    ],
    "fa": [
        ("دانهٔ قهوهٔ اتیوپی یرگاچف، ۲۵۰ گرم", 4_850_000),
        ("نوشیدنی جو دوسر باریستا، ۱ لیتر", 1_200_000),
        ("نان خشک چاودار با دانه", 640_000),
        ("ترکیب اسپرسوی خانه، ۱ کیلوگرم", 12_500_000),
        ("عسل گل‌های وحشی، ۳۴۰ گرم", 3_900_000),
        ("شکلات تلخ Lindt با نمک دریا", 1_850_000),
        ("موکاپات شش فنجانی", 8_700_000),
    ],
    "vi": [
        ("Cà phê Ethiopia Yirgacheffe nguyên hạt 250 g", 285_000),
        ("Sữa yến mạch barista 1 lít", 69_000),
        ("Bánh mì giòn lúa mạch đen", 85_000),
        ("Cà phê espresso rang mộc 1 kg", 420_000),
        ("Mật ong hoa rừng 340 g", 165_000),
        ("Sô-cô-la đen muối biển 70% ca cao", 95_000),
        ("Ấm moka sáu tách", 640_000),
    ],
    "ms": [
        ("Biji kopi Ethiopia Yirgacheffe 250 g", 48.9),
        ("Minuman oat barista 1 l", 12.5),
        ("Roti rangup rai berbiji", 15.9),
        ("Adunan espreso istimewa 1 kg", 89.0),
        ("Madu bunga liar 340 g", 32.9),
        ("Coklat gelap garam laut, 70% koko", 18.5),
        ("Periuk moka enam cawan", 129.0),
    ],
    "zh": [
        ("埃塞俄比亚耶加雪菲咖啡豆 250克", 78.0),
        ("咖啡师燕麦奶 1升", 19.9),
        ("黑麦脆饼", 22.0),
        ("本店意式拼配咖啡豆 1千克", 168.0),
        ("野花蜂蜜 340克", 56.0),
        ("海盐黑巧克力 70%可可", 32.0),
        ("六杯份摩卡壶", 228.0),
    ],
}


def shop_of(language: str) -> ShopView:
    """The shop that writes in this language."""
    name, postal_address, currency = SHOPS[language]
    return ShopView(
        name=name, postal_address=postal_address, url="https://shop.test/", currency=currency, languages=(language,)
    )


@cache
def compiled(recipe: str, language: str) -> CompiledTemplate:
    """A shipped recipe in one language."""
    return compile_template(TEMPLATES / recipe, {}, shop_of(language))[language]


def rendered(recipe: str, language: str, reader: tuple[Profile, Picks]) -> Rendered:
    """The message that this reader would get."""
    template = compiled(recipe, language)
    return render(template, context_for(template, *reader, shop_of(language), AT), ADDRESSES)


def full_reader(language: str, pictures: bool = False) -> tuple[Profile, Picks]:
    """Somebody of whom everything is known; products have pictures only when asked for."""
    given, family, full, gender = NAMES[language]
    profile = Profile(
        contact_id=1,
        email="reader@shop.test",
        given_name=given,
        family_name=family,
        full_name=full,
        gender=gender,
        greeting=greeting(language, given, family, full, None, gender),
        language=language,
        orders_count=14,
        last_order_at=datetime(2025, 10, 3, 9, tzinfo=UTC),
        days_since_last_order=149,
    )
    cards = [_card(i, title, price, pictures) for i, (title, price) in enumerate(GOODS[language])]
    last = date(2025, 10, 3)
    because = reason(language, {"code": "because", "title": GOODS[language][1][0]})
    return profile, Picks(
        favourite_product=cards[0],
        last_purchases=tuple(cards[:3]),
        buy_again=(
            replace(cards[3], reason=reason(language, {"code": "bought_times", "times": 4, "last": last})),
            replace(cards[4], reason=reason(language, {"code": "bought_times", "times": 1, "last": last})),
        ),
        new_for_you=(
            replace(cards[5], reason=because),
            replace(cards[6], reason=reason(language, {"code": "popular"})),
        ),
        basket=(cards[1], cards[6]),
        basket_url="https://shop.test/basket/77",
    )


def sparse_reader(language: str) -> tuple[Profile, Picks]:
    """Somebody of whom hardly more than the address is known."""
    return Profile(contact_id=2, email="new@shop.test", greeting=greeting(language), language=language), Picks()


def _card(number: int, title: str, price: float, pictures: bool) -> Card:
    return Card(
        product_id=f"p{number}",
        title=title,
        url=f"https://shop.test/p/{number}",
        image_url=f"https://shop.test/p/{number}.jpg" if pictures else "",
        price=price,
    )
