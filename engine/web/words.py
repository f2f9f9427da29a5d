"""What do the pages say, in the reader's language? Whole sentences, never put together from pieces."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of the few pages that a recipient may see."""

    unsubscribe_title: str
    unsubscribe_ask: str
    unsubscribe_button: str
    unsubscribed: str
    preferences_title: str
    mailing: str
    tracking: str
    save: str
    saved: str
    change_more: str
    gone_title: str
    gone: str
    to_shop: str


WORDS: Mapping[str, Words] = {
    "en": Words(
        "Unsubscribe",
        "Do you no longer want to get our emails?",
        "Unsubscribe me",
        "You are unsubscribed. We will not write to you again.",
        "Your choices",
        "You may send me emails.",
        "You may see whether I open your emails and what I click, so that they suit me better.",
        "Save",
        "Your choices are saved.",
        "See all choices",
        "This link is no longer in use",
        "The page behind this link is gone. Nothing has been changed.",
        "Go to the shop",
    ),
    "fi": Words(
        "Peru tilaus",
        "Etkö halua enää saada sähköpostejamme?",
        "Peru tilaukseni",
        "Tilauksesi on peruttu. Emme enää kirjoita sinulle.",
        "Valintasi",
        "Minulle saa lähettää sähköpostia.",
        "Saatte nähdä, avaanko sähköpostinne ja mitä napsautan, jotta ne sopisivat minulle paremmin.",
        "Tallenna",
        "Valintasi on tallennettu.",
        "Näytä kaikki valinnat",
        "Tämä linkki ei ole enää käytössä",
        "Linkin takana olevaa sivua ei enää ole. Mitään ei ole muutettu.",
        "Siirry kauppaan",
    ),
    "fa": Words(
        "لغو اشتراک",
        "دیگر نمی‌خواهید ایمیل‌های ما را دریافت کنید؟",
        "اشتراک مرا لغو کنید",
        "اشتراک شما لغو شد. دیگر برای شما ایمیل نمی‌فرستیم.",
        "انتخاب‌های شما",
        "می‌توانید برای من ایمیل بفرستید.",
        "می‌توانید ببینید ایمیل‌هایتان را باز می‌کنم یا نه و روی چه چیزی کلیک می‌کنم تا برایم مناسب‌تر شوند.",
        "ذخیره",
        "انتخاب‌های شما ذخیره شد.",
        "دیدن همهٔ انتخاب‌ها",
        "این پیوند دیگر کار نمی‌کند",
        "صفحهٔ این پیوند دیگر وجود ندارد. چیزی تغییر نکرده است.",
        "رفتن به فروشگاه",
    ),
    "vi": Words(
        "Hủy đăng ký",
        "Bạn không muốn nhận email của chúng tôi nữa?",
        "Hủy đăng ký cho tôi",
        "Bạn đã hủy đăng ký. Chúng tôi sẽ không gửi email cho bạn nữa.",
        "Lựa chọn của bạn",
        "Cửa hàng có thể gửi email cho tôi.",
        "Cửa hàng có thể biết tôi có mở email và bấm vào đâu, để nội dung phù hợp với tôi hơn.",
        "Lưu",
        "Lựa chọn của bạn đã được lưu.",
        "Xem tất cả lựa chọn",
        "Liên kết này không còn dùng được",
        "Trang của liên kết này không còn nữa. Không có gì bị thay đổi.",
        "Đến cửa hàng",
    ),
    "ms": Words(
        "Berhenti melanggan",
        "Anda tidak mahu menerima e-mel kami lagi?",
        "Hentikan langganan saya",
        "Langganan anda telah dihentikan. Kami tidak akan menghantar e-mel kepada anda lagi.",
        "Pilihan anda",
        "Saya benarkan e-mel dihantar kepada saya.",
        "Saya benarkan kedai melihat sama ada saya membuka e-mel dan pautan yang saya klik, supaya ia lebih sesuai.",
        "Simpan",
        "Pilihan anda telah disimpan.",
        "Lihat semua pilihan",
        "Pautan ini tidak digunakan lagi",
        "Halaman bagi pautan ini sudah tiada. Tiada apa-apa yang diubah.",
        "Pergi ke kedai",
    ),
    "zh": Words(
        "退订",
        "您不想再收到我们的邮件了吗？",
        "为我退订",
        "您已退订，我们不会再给您发送邮件。",
        "您的选择",
        "可以给我发送邮件。",
        "可以了解我是否打开邮件以及点击了哪些内容，以便邮件更适合我。",
        "保存",
        "您的选择已保存。",
        "查看所有选择",
        "此链接已失效",
        "此链接对应的页面已不存在，没有任何更改。",
        "前往商店",
    ),
}
