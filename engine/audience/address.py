"""Which mailbox is meant? An address checked and normalised, so that one person's spellings are one contact."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

_DECORATION = " \t\u00a0\u200b\u2060\ufeff"
_LONGEST = 254  # RFC 5321, 4.5.3.1.3: a path is 256 octets, brackets included

# `Bob <a@b.c>`. The name may not hold what would make it a list of addresses, unless it is quoted.
_NAMED = re.compile(r'(?:"[^"<>]*"|[^"<>@,;:]*)\s*<([^<>]*)>')
# Local parts that need no closer look; everything else goes through the library.
_PLAIN = re.compile(r"(?=.{1,64}@)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[^@]+")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: `email` as it is mailed to, `key` equal for all spellings of it."""

    email: str  # local part as given, domain in A-labels
    key: str  # NFC, casefolded


def address(text: str, allow_test_domains: bool = False) -> Address:
    """The mailbox that `text` names, without its decoration; ValueError with the reason, which never quotes it."""
    bare = _undecorated(text)
    if not bare:
        raise ValueError("no email address")
    if not bare.isprintable():
        raise ValueError("the email address holds a control character or an invisible one")
    local, _, domain = bare.rpartition("@")
    if not _PLAIN.fullmatch(bare):
        local, domain = _checked(bare, allow_test_domains)
    else:
        domain, fault = _domain(domain, allow_test_domains)
        if fault:
            raise ValueError(fault)
        if len(local) + 1 + len(domain) > _LONGEST:
            raise ValueError(f"the email address is longer than {_LONGEST} characters")
    return Address(f"{local}@{domain}", f"{unicodedata.normalize('NFC', local.casefold())}@{domain}")


def _undecorated(text: str) -> str:
    bare = text.strip(_DECORATION)
    if bare.endswith(">") and (named := _NAMED.fullmatch(bare)):
        bare = named[1].strip(_DECORATION)
    return bare[7:].strip(_DECORATION) if bare[:7].lower() == "mailto:" else bare


@lru_cache(maxsize=65536)
def _domain(domain: str, allow_test_domains: bool) -> tuple[str, str]:
    """The domain in A-labels and why it is none: a shop's contacts share few domains, and checking one is slow."""
    try:
        return _checked(f"a@{domain}", allow_test_domains)[1], ""
    except ValueError as fault:
        return "", str(fault)


def _checked(bare: str, allow_test_domains: bool) -> tuple[str, str]:
    """Local part and domain, by the library."""
    try:
        found = validate_email(bare, check_deliverability=False, strict=True, test_environment=allow_test_domains)
    except EmailNotValidError as fault:
        cure = ""
        if bare.lower().endswith(".test"):
            cure = " [sender] allow_test_domains lets addresses under .test in."
        raise ValueError(f"no email address: {fault}{cure}") from None
    if found.ascii_domain is None or len(bare) > _LONGEST:
        raise ValueError("no email address: its domain has no form that the domain name system knows")
    return found.local_part, found.ascii_domain.lower()
