"""What do the pages say, in the reader's language? Whole sentences, never put together from pieces."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The sentences of the few pages that a recipient may see."""

    unsubscribe_title: str
    unsubscribe_ask: str
    unsubscribe_button: str
    unsubscribed_title: str
    unsubscribed: str
    change_more: str
    preferences_title: str
    mailing: str
    tracking: str
    save: str
    saved: str
    refused: str
    gone_title: str
    gone: str
    busy_title: str
    busy: str
    to_shop: str


# Native speakers: please mend what sounds translated.
WORDS: Mapping[str, Words] = {
    "en": Words(
        unsubscribe_title="Unsubscribe",
        unsubscribe_ask="Do you no longer want to get our emails?",
        unsubscribe_button="Unsubscribe me",
        unsubscribed_title="You are unsubscribed",
        unsubscribed="We will not write to you again.",
        change_more="See all choices",
        preferences_title="Your choices",
        mailing="The shop may send me emails.",
        tracking="The shop may see whether I open its emails and what I click, so that they suit me better.",
        save="Save",
        saved="Your choices are saved.",
        refused="We can't send emails to this address again from here. Please write to the shop.",
        gone_title="This link is no longer in use",
        gone="The page behind this link is gone. Nothing has been changed.",
        busy_title="One moment, please",
        busy="This could not be done just now. Please try again in a minute.",
        to_shop="Go to the shop",
    ),
    "fi": Words(
        unsubscribe_title="Peru tilaus",
        unsubscribe_ask="Etkö halua enää saada sähköpostejamme?",
        unsubscribe_button="Peru tilaukseni",
        unsubscribed_title="Tilauksesi on peruttu",
        unsubscribed="Emme enää kirjoita sinulle.",
        change_more="Näytä kaikki valinnat",
        preferences_title="Valintasi",
        mailing="Kauppa saa lähettää minulle sähköpostia.",
        tracking="Kauppa saa nähdä, avaanko sen sähköpostit ja mitä napsautan, jotta ne sopisivat minulle paremmin.",
        save="Tallenna",
        saved="Valintasi on tallennettu.",
        refused="Emme voi enää lähettää sähköpostia tähän osoitteeseen tätä kautta. Ota yhteyttä kauppaan.",
        gone_title="Tämä linkki ei ole enää käytössä",
        gone="Linkin takana olevaa sivua ei enää ole. Mitään ei ole muutettu.",
        busy_title="Hetkinen",
        busy="Tämä ei onnistunut juuri nyt. Yritä hetken kuluttua uudelleen.",
        to_shop="Siirry kauppaan",
    ),
    "fa": Words(
        unsubscribe_title="لغو اشتراک",
        unsubscribe_ask="دیگر نمی‌خواهید ایمیل‌های ما را دریافت کنید؟",
        unsubscribe_button="اشتراک مرا لغو کنید",
        unsubscribed_title="اشتراک شما لغو شد",
        unsubscribed="دیگر برای شما ایمیل نمی‌فرستیم.",
        change_more="دیدن همهٔ انتخاب‌ها",
        preferences_title="انتخاب‌های شما",
        mailing="فروشگاه می‌تواند برای من ایمیل بفرستد.",
        tracking="فروشگاه می‌تواند ببیند ایمیل‌هایش را باز می‌کنم یا نه و روی چه چیزی کلیک می‌کنم تا برایم مناسب‌تر شوند.",
        save="ذخیره",
        saved="انتخاب‌های شما ذخیره شد.",
        refused="از این صفحه نمی‌توانیم دوباره به این نشانی ایمیل بفرستیم. لطفاً با فروشگاه تماس بگیرید.",
        gone_title="این پیوند دیگر کار نمی‌کند",
        gone="صفحهٔ این پیوند دیگر وجود ندارد. چیزی تغییر نکرده است.",
        busy_title="لطفاً کمی صبر کنید",
        busy="این کار اکنون انجام نشد. لطفاً یک دقیقهٔ دیگر دوباره تلاش کنید.",
        to_shop="رفتن به فروشگاه",
    ),
    "vi": Words(
        unsubscribe_title="Hủy đăng ký",
        unsubscribe_ask="Bạn không muốn nhận email của chúng tôi nữa?",
        unsubscribe_button="Hủy đăng ký cho tôi",
        unsubscribed_title="Bạn đã hủy đăng ký",
        unsubscribed="Chúng tôi sẽ không gửi email cho bạn nữa.",
        change_more="Xem tất cả lựa chọn",
        preferences_title="Lựa chọn của bạn",
        mailing="Cửa hàng có thể gửi email cho tôi.",
        tracking="Cửa hàng có thể biết tôi có mở email và bấm vào đâu, để nội dung phù hợp với tôi hơn.",
        save="Lưu",
        saved="Lựa chọn của bạn đã được lưu.",
        refused="Trang này không thể bật lại việc gửi email đến địa chỉ này. Vui lòng liên hệ với cửa hàng.",
        gone_title="Liên kết này không còn dùng được",
        gone="Trang của liên kết này không còn nữa. Không có gì bị thay đổi.",
        busy_title="Xin chờ một lát",
        busy="Hiện chưa thực hiện được. Vui lòng thử lại sau một phút.",
        to_shop="Đến cửa hàng",
    ),
    "ms": Words(
        unsubscribe_title="Berhenti melanggan",
        unsubscribe_ask="Anda tidak mahu menerima e-mel kami lagi?",
        unsubscribe_button="Hentikan langganan saya",
        unsubscribed_title="Langganan anda telah dihentikan",
        unsubscribed="Kami tidak akan menghantar e-mel kepada anda lagi.",
        change_more="Lihat semua pilihan",
        preferences_title="Pilihan anda",
        mailing="Kedai boleh menghantar e-mel kepada saya.",
        tracking="Kedai boleh melihat sama ada saya membuka e-mel dan pautan yang saya klik, supaya ia lebih sesuai.",
        save="Simpan",
        saved="Pilihan anda telah disimpan.",
        refused="E-mel tidak dapat dihantar semula ke alamat ini melalui halaman ini. Sila hubungi kedai.",
        gone_title="Pautan ini tidak digunakan lagi",
        gone="Halaman bagi pautan ini sudah tiada. Tiada apa-apa yang diubah.",
        busy_title="Sila tunggu sebentar",
        busy="Ini tidak dapat dilakukan sekarang. Sila cuba lagi sebentar lagi.",
        to_shop="Pergi ke kedai",
    ),
    "zh": Words(
        unsubscribe_title="退订",
        unsubscribe_ask="您不想再收到我们的邮件了吗？",
        unsubscribe_button="为我退订",
        unsubscribed_title="您已退订",
        unsubscribed="我们不会再给您发送邮件。",
        change_more="查看所有选择",
        preferences_title="您的选择",
        mailing="商店可以给我发送邮件。",
        tracking="商店可以了解我是否打开邮件以及点击了哪些内容，以便邮件更适合我。",
        save="保存",
        saved="您的选择已保存。",
        refused="无法通过此页面恢复向该邮箱发送邮件，请联系商店。",
        gone_title="此链接已失效",
        gone="此链接对应的页面已不存在，没有任何更改。",
        busy_title="请稍候",
        busy="暂时无法完成操作，请一分钟后重试。",
        to_shop="前往商店",
    ),
}
