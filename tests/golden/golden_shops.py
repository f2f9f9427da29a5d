"""Six small shops, one a language, and the reader whose mails are kept as golden files; all of it made up by hand."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine import pipeline
from engine.pipeline import Mailer

SECRET = "the golden mails' own secret, known to all\n"
RECIPES = ("winback", "cross_sell", "loyalty")
READER = "reader@people.test"


@dataclass(frozen=True, kw_only=True)
class GoldenShop:
    """A shop that writes in one language, what it sells, and to whom."""

    name: str
    postal_address: str
    currency: str
    timezone: str
    reader: str  # given_name,family_name,full_name,gender
    goods: tuple[tuple[str, str], ...]  # title, price; the reader bought the first four, others the last two as well
    greeting: str  # as her mail must begin
    direction: str = "ltr"


SHOPS = {
    "en": GoldenShop(
        name="Harbour & Hill",
        postal_address="14 Quay Street, Bristol BS1 4DJ, United Kingdom",
        currency="GBP",
        timezone="Europe/London",
        reader="Anna,Bennett,Anna Bennett,f",
        goods=(
            ("Ethiopia Yirgacheffe, whole beans 250 g", "11.50"),
            ("Oat drink barista 1 l", "2.40"),
            ("Seeded rye crispbread", "3.20"),
            ("House espresso blend 1 kg", "24.00"),
            ("Wildflower honey 340 g", "7.80"),
            ("Dark chocolate with sea salt, 70% cocoa", "4.50"),
        ),
        greeting="Hi Anna,",
    ),
    "fi": GoldenShop(
        name="Kulmapuoti",
        postal_address="Mannerheimintie 12, 00100 Helsinki",
        currency="EUR",
        timezone="Europe/Helsinki",
        reader="Väinö,Järvinen,Väinö Järvinen,m",
        goods=(
            ("Etiopia Yirgacheffe, kahvipavut 250 g", "9.90"),
            ("Kauravalmiste barista 1 l", "2.35"),
            ("Ruisnäkkileipä siemenillä", "3.10"),
            ("Talon espressosekoitus 1 kg", "21.90"),
            ("Metsäkukkahunaja 350 g", "7.50"),
            ("Merisuolainen tumma suklaa", "4.20"),
        ),
        greeting="Hei Väinö,",
    ),
    "fa": GoldenShop(
        name="کافه‌کالا",
        postal_address="تهران، خیابان ولیعصر، پلاک ۱۲۰",
        currency="IRR",
        timezone="Asia/Tehran",
        reader="مریم,احمدی,مریم احمدی,f",
        goods=(
            ("دانهٔ قهوهٔ اتیوپی یرگاچف، ۲۵۰ گرم", "4850000"),
            ("نوشیدنی جو دوسر باریستا، ۱ لیتر", "1200000"),
            ("نان خشک چاودار با دانه", "640000"),
            ("ترکیب اسپرسوی خانه، ۱ کیلوگرم", "12500000"),
            ("عسل گل‌های وحشی، ۳۴۰ گرم", "3900000"),
            ("شکلات تلخ با نمک دریا", "1850000"),
        ),
        greeting="خانم احمدی عزیز،",
        direction="rtl",
    ),
    "vi": GoldenShop(
        name="Hạt Nắng",
        postal_address="25 Lê Lợi, Quận 1, Thành phố Hồ Chí Minh",
        currency="VND",
        timezone="Asia/Ho_Chi_Minh",
        reader="Văn An,Nguyễn,Nguyễn Văn An,m",
        goods=(
            ("Cà phê Ethiopia Yirgacheffe nguyên hạt 250 g", "285000"),
            ("Sữa yến mạch barista 1 lít", "69000"),
            ("Bánh mì giòn lúa mạch đen", "85000"),
            ("Cà phê espresso rang mộc 1 kg", "420000"),
            ("Mật ong hoa rừng 340 g", "165000"),
            ("Sô-cô-la đen muối biển", "95000"),
        ),
        greeting="Chào An,",
    ),
    "ms": GoldenShop(
        name="Kedai Kopi Seri",
        postal_address="8 Jalan Ampang, 50450 Kuala Lumpur",
        currency="MYR",
        timezone="Asia/Kuala_Lumpur",
        reader="Siti Nurhaliza,binti Ahmad,Siti Nurhaliza binti Ahmad,f",
        goods=(
            ("Biji kopi Ethiopia Yirgacheffe 250 g", "48.90"),
            ("Minuman oat barista 1 l", "12.50"),
            ("Roti rangup rai berbiji", "15.90"),
            ("Adunan espreso istimewa 1 kg", "89.00"),
            ("Madu bunga liar 340 g", "32.90"),
            ("Coklat gelap garam laut", "18.50"),
        ),
        greeting="Hai Siti Nurhaliza,",
    ),
    "zh": GoldenShop(
        name="山野咖啡",
        postal_address="上海市静安区南京西路100号",
        currency="CNY",
        timezone="Asia/Shanghai",
        reader="小明,王,王小明,m",
        goods=(
            ("埃塞俄比亚耶加雪菲咖啡豆 250克", "78.00"),
            ("咖啡师燕麦奶 1升", "19.90"),
            ("黑麦脆饼", "22.00"),
            ("本店意式拼配咖啡豆 1千克", "168.00"),
            ("野花蜂蜜 340克", "56.00"),
            ("海盐黑巧克力", "32.00"),
        ),
        greeting="王先生，您好！",
    ),
}

CONFIG = """
[shop]
name = "{name}"
postal_address = "{postal_address}"
url = "https://shop.test"
currency = "{currency}"
timezone = "{timezone}"
languages = ["{language}"]
[sender]
from = "{name} <hello@shop.test>"
feedback_id = "goldenshop"
allow_test_domains = true
[transport.main]
kind = "outbox"
bounce_domain = "bounce.shop.test"
[tracking]
base_url = "https://mail.shop.test"
[dkim."shop.test"]
selector = "s1"
key_file = "dkim.pem"
algorithm = "ed25519-sha256"
[clock]
fixed_at = 2026-03-01T12:00:00Z
"""

_CAMPAIGN = """
where    = "email == '{reader}'"
template = "{recipe}"
goal     = "order"
window   = "14 days"
send_at  = "now"
"""


def open_shop(folder: Path, language: str) -> Mailer:
    """A workspace of this shop, made as its owner would make it: files imported, recommendations learnt."""
    shop = SHOPS[language]
    folder.mkdir()
    (folder / "secret.key").write_text(SECRET)
    (folder / "dkim.pem").write_bytes(_signing_key())
    pipeline.init(folder, CONFIG.format(language=language, **vars(shop)))
    for recipe in RECIPES:
        (folder / "campaigns" / f"{recipe}.toml").write_text(_CAMPAIGN.format(reader=READER, recipe=recipe))
    mailer = pipeline.open_mailer(folder)
    for kind, text in (("contacts", _contacts(language)), ("products", _products(shop)), ("orders", _orders())):
        import_text(mailer, kind, text)
    pipeline.refresh(mailer, mailer.clock(), quiet)
    return mailer


def import_text(mailer: Mailer, kind: str, text: str) -> "pipeline.ImportResult":
    """Import a file that holds this text."""
    path = mailer.folder / f"{kind}.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return pipeline.import_file(mailer, kind, path, {}, "", "point", quiet)


def quiet(_done: int, _total: int | None) -> None:
    """Nobody looks."""


def _contacts(language: str) -> str:
    return (
        "email,given_name,family_name,full_name,gender,language,mailing_consent,tracking_consent\n"
        f"{READER},{SHOPS[language].reader},{language},yes,yes\n"
    )


def _products(shop: GoldenShop) -> str:
    rows = [
        f'p{n},"{title}",{price},10,https://shop.test/p/{n},https://shop.test/p/{n}.jpg,c{n % 3}'
        for n, (title, price) in enumerate(shop.goods)
    ]
    return "\n".join(["product_id,title,price,stock,url,image_url,category", *rows]) + "\n"


def _orders() -> str:
    hers = [("2025-06-10", "p0 p1"), ("2025-08-02", "p0 p2"), ("2025-10-03", "p0 p3")]
    rows = [f"r{n},{READER},{day},{one},1,1" for n, (day, basket) in enumerate(hers) for one in basket.split()]
    # Eight neighbours who never asked for mail; what they buy beside her coffee is new to her.
    rows += [
        f"n{n}-{month},neighbour{n}@people.test,2026-{month:02}-05,{one},1,1"
        for n in range(8)
        for month in (1, 2)
        for one in ("p0", "p4", "p5")
    ]
    return "\n".join(["order_id,email,ordered_at,product_id,quantity,unit_price", *rows]) + "\n"


def _signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
