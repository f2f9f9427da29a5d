"""How does a message look that went wrong? The patterns behind `findings`, and the pieces they are made of."""

import re

GREETINGS = (
    *(
        "hi",
        "hello",
        "hey",
        "dear",
        "good morning",
        "good day",
        "good evening",
        "hei",
        "moi",
        "hyvä",
        "chào",
        "xin chào",
    ),
    *("kính gửi", "salam", "hai", "سلام", "您好", "你好", "亲爱的"),
)
ENDS = ",،!，！"  # what follows a name in a greeting
WORDS = ("None", "NaN", "nan", "undefined", "null", "Undefined", "Lorem ipsum", "lorem ipsum", "TODO", "FIXME")

# Not over line ends, at each of which it begins anew: among many that would take the square of their number.
GREETING = re.compile(rf"^[^\S\n]*({'|'.join(GREETINGS)})\s+[{ENDS}]", re.IGNORECASE | re.MULTILINE)
BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\[\[|\]\]|\[%|%\]|%[A-Za-z_]+(?:\.[A-Za-z_]+)*%|\*\|[A-Z_:]+\|\*")
LEFT_OVER = re.compile(
    r"(?<![\w'-])(None|NaN|nan|undefined|null|Undefined|[Ll]orem ipsum|TODO|FIXME|Missing\(.*?\))(?![\w'-])"
)
TEST_HOST = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|(?:[\w-]+\.)*(?:example\.(?:com|org|net)|example|invalid|local))"
    r"(?=[:/?#\s]|$)",
    re.IGNORECASE,
)
ADDRESS = re.compile(r"(?:https?://[^\s/?#@]+(?:[/?#]\S*)?|mailto:\S+|tel:\S+|sms:\S+|#\S*)", re.IGNORECASE)
