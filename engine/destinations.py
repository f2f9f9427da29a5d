"""Which recipients' domains share one mail system? What one of them throttles, it throttles for all of its domains.

A group is named like its provider. Domains that only point at a provider (a shop's own domain hosted there) stand for
themselves: to know better takes DNS, which a plan never asks.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

# Domains of the big mailbox providers, as their own sign-up pages offer or offered them. A name that ends in a dot
# stands for every country's ending: "yahoo." is yahoo.com, yahoo.co.uk, yahoo.fr ...
GROUPS: Mapping[str, str] = {
    "gmail": "gmail.com googlemail.com",
    "microsoft": "outlook. hotmail. live. msn.com passport.com windowslive.com",
    "yahoo": "yahoo. ymail.com rocketmail.com myyahoo.com aol. aim.com netscape.net verizon.net sky.com att.net "
    "sbcglobal.net bellsouth.net ameritech.net pacbell.net swbell.net frontier.com rogers.com",
    "apple": "icloud.com me.com mac.com",
    "gmx": "gmx. web.de mail.com email.com caramail.com",
    "t-online": "t-online.de magenta.de",
    "freenet": "freenet.de",
    "ionos": "1und1.de online.de onlinehome.de",
    "mailru": "mail.ru inbox.ru list.ru bk.ru internet.ru",
    "yandex": "yandex. ya.ru narod.ru",
    "rambler": "rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru",
    "qq": "qq.com foxmail.com vip.qq.com",
    "netease": "163.com 126.com yeah.net vip.163.com vip.126.com 188.com",
    "sina": "sina.com sina.cn",
    "naver": "naver.com",
    "kakao": "daum.net hanmail.net kakao.com",
    "docomo": "docomo.ne.jp",
    "au": "ezweb.ne.jp au.com",
    "softbank": "softbank.ne.jp i.softbank.jp",
    "orange": "orange.fr wanadoo.fr",
    "free": "free.fr",
    "laposte": "laposte.net",
    "sfr": "sfr.fr neuf.fr cegetel.net club-internet.fr numericable.fr",
    "bouygues": "bbox.fr",
    "telenet": "telenet.be",
    "proximus": "skynet.be proximus.be",
    "kpn": "kpnmail.nl planet.nl hetnet.nl kpnplanet.nl",
    "ziggo": "ziggo.nl home.nl chello.nl upcmail.nl casema.nl quicknet.nl",
    "libero": "libero.it iol.it inwind.it blu.it giallo.it",
    "tim": "tim.it alice.it tin.it virgilio.it",
    "wp": "wp.pl o2.pl tlen.pl",
    "onet": "onet.pl op.pl vp.pl poczta.onet.pl onet.eu",
    "interia": "interia.pl interia.eu poczta.fm",
    "seznam": "seznam.cz email.cz post.cz spoluzaci.cz",
    "ukrnet": "ukr.net",
    "btinternet": "btinternet.com btopenworld.com",
    "virgin": "virginmedia.com ntlworld.com blueyonder.co.uk virgin.net",
    "comcast": "comcast.net xfinity.com",
    "charter": "charter.net spectrum.net roadrunner.com rr.com twc.com",
    "cox": "cox.net",
    "shaw": "shaw.ca",
    "bell": "bell.net sympatico.ca",
    "telstra": "bigpond.com bigpond.net.au telstra.com",
    "optus": "optusnet.com.au",
    "uol": "uol.com.br bol.com.br",
    "terra": "terra.com.br terra.com",
    "rediff": "rediffmail.com rediff.com",
    "bluewin": "bluewin.ch",
    "telia": "telia.com",
    "elisa": "elisanet.fi kolumbus.fi saunalahti.fi elisa.fi",
    "proton": "proton.me protonmail.com protonmail.ch pm.me",
    "zoho": "zoho. zohomail.com zohomail.eu zohomail.in",
    "fastmail": "fastmail.com fastmail.fm messagingengine.com sent.com",
    "tuta": "tuta.com tuta.io tutanota.com tutanota.de tutamail.com keemail.me",
}


class HasDomains(Protocol):
    """A group as config.toml knows it: [limits.destination.NAME]."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains it stands for."""


def group_of(domain: str, configured: Mapping[str, HasDomains]) -> str:
    """The mail system behind a domain: a configured group first, then a known provider, else the domain itself."""
    named = domain.strip().rstrip(".").lower()
    for name, one in configured.items():
        if any(named == own.strip().rstrip(".").lower() for own in one.domains):
            return name
    return known_group(named) or named


def domain_of(address: str) -> str:
    """The domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()


@lru_cache(maxsize=4096)
def known_group(domain: str) -> str:
    """The provider's group for a domain in lower case; empty when none is known."""
    exact, families = _tables()
    if domain in exact:
        return exact[domain]
    first, _, ending = domain.partition(".")
    # yahoo.fr, yahoo.co.uk, yahoo.com.br, and yahoo.com itself: anything else may be somebody else's.
    parts = ending.split(".")
    is_country = len(parts) <= 2 and all(len(part) == 2 or part in ("com", "net") for part in parts)
    return families.get(first, "") if is_country else ""


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    named = [(domain, group) for group, domains in GROUPS.items() for domain in domains.split()]
    exact = {domain: group for domain, group in named if not domain.endswith(".")}
    return exact, {domain[:-1]: group for domain, group in named if domain.endswith(".")}
