"""What can go wrong, as one tree; every message names the fault, the place and the cure.

MailerError                exit 1: the person reading it can act on it
├── Usage                  exit 2: the command line itself was wrong
├── Findings               exit 3: a check found faults; they were printed
├── Refused                exit 4: would be unsafe (drift, already released, over a limit, nobody said yes)
├── Unfinished             exit 5: ended with messages deferred or uncertain
├── BadConfig              config.toml, secrets, paths
├── BadFile                an import file that can't be read at all (single rows are refused, not raised)
├── BadRule                a rule that doesn't parse, names an unknown field or mixes types
├── BadCampaign            a campaign file
├── BadJourney             a journey file
├── BadTemplate            a template that doesn't compile, with line and column
├── RenderFailed           one recipient's message can't be rendered; a finding, never the end of a run
├── UnknownSegment, UnknownCampaign, UnknownJourney, UnknownTemplate, UnknownContact, UnknownPlan
├── StoreUnavailable       the database can't be opened, written or is at another version
├── MailboxUnavailable     the bounce mailbox can't be opened or read: what it holds stays there
└── TransportUnavailable   no server answers: nothing was sent
    └── TransportRefused   it answers, and TLS or login fail: trying again changes nothing

Expected ends of a single recipient (skipped, refused, deferred) are states in `model`, not exceptions.
"""

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class MailerError(Exception):
    """The root: a fault that a person can mend, told in one sentence."""

    exit_code = 1


class Usage(MailerError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class Findings(MailerError):
    """A check ran to its end and found faults."""

    exit_code = 3


class Refused(MailerError):
    """The engine will not do this, because it could harm; the message says what to do instead."""

    exit_code = 4


class Unfinished(MailerError):
    """The send ended with messages deferred or uncertain."""

    exit_code = 5


class BadConfig(MailerError):
    """config.toml, a secret or a path is wrong; all faults are in the one message."""


class BadFile(MailerError):
    """An input file cannot be read as a whole."""


class BadRule(MailerError):
    """A rule does not parse, names an unknown field, or compares what can't be compared."""


class BadCampaign(MailerError):
    """A campaign file is wrong; all its faults are in the one message."""


class BadJourney(MailerError):
    """A journey file is wrong; all its faults are in the one message."""


class BadTemplate(MailerError):
    """A template does not compile; the message gives file:line:col."""


class RenderFailed(MailerError):
    """One recipient's message cannot be rendered: a value is missing or unsafe."""


class UnknownSegment(MailerError):
    """A segment name that segments.toml does not hold."""


class UnknownCampaign(MailerError):
    """A campaign name without a file in campaigns/."""


class UnknownJourney(MailerError):
    """A journey name without a file in journeys/ and without a version in the database."""


class UnknownTemplate(MailerError):
    """A template name without a folder in templates/."""


class UnknownContact(MailerError):
    """No contact has this address."""


class UnknownPlan(MailerError):
    """No plan has this number."""


class StoreUnavailable(MailerError):
    """The database cannot be opened or written, or stands at another version."""


class MailboxUnavailable(MailerError):
    """The mailbox of [bounces] cannot be opened or read; no mail in it was lost or marked."""


class TransportUnavailable(MailerError):
    """Nothing was handed over: there is no connection."""


class TransportRefused(TransportUnavailable):
    """Nothing was handed over: the server offers no TLS, shows a wrong certificate or refuses the login."""


def nearest(name: str, known: "Iterable[str]") -> str:
    """`; did you mean 'x'?` for the closest known name, or the empty string."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
