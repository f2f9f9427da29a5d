"""Which sections may config.toml hold, and what may each key say?"""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from engine.errors import nearest
from engine.model import TRANSACTIONAL, TrackingMode

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
APIS = ("resend", "ses")
_ENDPOINT = r"https://[^\s/@]+(/[^\s?#]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/[^\s?#]*)?"
_NUMBERS = (int, float, float | None)
_MOST_A_SECOND = 100_000
_MOST_A_DAY = 1_000_000_000
_LONGEST_WAIT = 3600  # seconds; RFC 5321 4.5.3.2 asks for ten minutes at most
_TOPIC = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$"


class Section(BaseModel):
    """A table of config.toml: no key but the known ones, and nobody changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, given: Any) -> Any:
        """`complaints = true` would else be a limit of 100 %, `daily = true` one mail a day."""
        for name, value in given.items() if isinstance(given, dict) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation in _NUMBERS:
                raise ValueError(f"{name} is a number, not {str(value).lower()}")
        return given


class Shop(Section):
    """Who sends: stands in every footer."""

    name: str = Field(min_length=1)
    postal_address: str = Field(min_length=1)
    url: str = ""
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    timezone: str = "UTC"
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    margin: float | None = Field(default=None, ge=0, le=1)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is no IANA time zone{nearest(value, available_timezones())}")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.timezone)


class Database(Section):
    """Where the facts live."""

    url: str = "sqlite:///mailer.db"

    @field_validator("url")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if not re.match(r"sqlite:///[^?]|postgresql://.", value):
            raise ValueError("write sqlite:///mailer.db or postgresql://user@host/name")
        return value


class Sender(Section):
    """What stands in the headers of every mail."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    from_: str = Field(alias="from", min_length=3)
    reply_to: str = ""
    feedback_id: str = Field(default="", max_length=15)
    drift_limit: float = Field(default=0.01, ge=0, le=1)
    allow_test_domains: bool = False


class TransportSettings(Section):
    """One way out. Its password never comes from config.toml."""

    kind: Literal["smtp", "outbox", "resend", "ses"] = "smtp"
    host: str = "localhost"
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["required", "verify", "implicit", "off"] = "required"
    username: str = ""
    password_env: str = ""
    password_file: str = ""
    password: SecretStr | None = Field(default=None, exclude=True)
    return_path: Literal["verp", "fixed", "from"] = "verp"
    bounce_domain: str = ""
    connections: int = Field(default=1, ge=1, le=8)
    timeout: float = Field(default=60, gt=0, le=_LONGEST_WAIT)
    folder: str = "outbox"
    auth: Literal["auto", "plain", "login", "cram-md5", "xoauth2"] = "auto"
    chunking: bool = True
    messages_per_connection: int = Field(default=100, ge=1)
    rate: float = Field(default=0, ge=0, le=_MOST_A_SECOND)  # messages a second; 0: as fast as it goes
    daily: int = Field(default=0, ge=0, le=_MOST_A_DAY)  # messages a day of the shop's; 0: no cap
    warm_up: tuple[Annotated[int, Field(ge=1, le=_MOST_A_DAY)], ...] = ()  # messages on the first day, the second ...
    warm_up_from: date | None = None
    backup: str = ""
    region: str = Field(default="eu-west-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    endpoint: str = ""
    webhook_secret_env: str = ""
    webhook_secret_file: str = ""
    webhook_secret: SecretStr | None = Field(default=None, exclude=True)
    topics: tuple[Annotated[str, Field(pattern=_TOPIC)], ...] = ()

    @model_validator(mode="after")
    def _plaintext_only_at_home(self) -> "TransportSettings":
        if self.kind == "smtp" and self.tls == "off" and self.host not in _LOOPBACK:
            raise ValueError(f'tls = "off" is allowed only to this machine, not to {self.host!r}; use "required"')
        if self.return_path != "from" and self.kind == "smtp" and not self.bounce_domain:
            raise ValueError('bounce_domain is needed unless return_path = "from"')
        return self

    @model_validator(mode="after")
    def _api_is_complete(self) -> "TransportSettings":
        if self.kind not in APIS:
            return self
        if self.kind == "ses" and not self.username:
            raise ValueError("ses needs username, the access key id; its secret is the password")
        if self.bounce_domain:
            raise ValueError(f"bounce_domain: {self.kind} takes bounces itself and tells them by webhook; leave it out")
        if self.endpoint and not re.fullmatch(_ENDPOINT, self.endpoint):
            raise ValueError(f"endpoint {self.endpoint!r} must begin with https:// (http:// only to this machine)")
        return self

    @model_validator(mode="after")
    def _warm_up_begins_somewhere(self) -> "TransportSettings":
        if self.warm_up and self.warm_up_from is None:
            raise ValueError("warm_up needs warm_up_from, the date of its first day")
        return self


class Tracking(Section):
    """What may be learned from a mail that was opened."""

    base_url: str = "https://localhost"
    mode: TrackingMode = TrackingMode.INDIVIDUAL_WITH_CONSENT

    @field_validator("base_url")
    @classmethod
    def _secure(cls, value: str) -> str:
        value = value.rstrip("/")
        if not re.match(r"https://[^\s/]+|http://(localhost|127\.0\.0\.1)(:\d+)?", value):
            raise ValueError("base_url must begin with https:// (http:// only for this machine)")
        return value


class Dkim(Section):
    """The key that signs for one domain."""

    selector: str = Field(min_length=1)
    key_file: str = Field(min_length=1)
    algorithm: Literal["rsa-sha256", "ed25519-sha256"] = "rsa-sha256"
    ed25519_selector: str = ""  # with the next: a second signature, for receivers that know RFC 8463
    ed25519_key_file: str = ""

    @field_validator("selector", "ed25519_selector")
    @classmethod
    def _is_selector(cls, value: str) -> str:
        if value and ("_domainkey" in value.lower() or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", value, re.ASCII)):
            raise ValueError(f"{value!r} is no selector; write what stands before ._domainkey in the TXT record's name")
        return value

    @model_validator(mode="after")
    def _second_signature_is_whole(self) -> "Dkim":
        if bool(self.ed25519_selector) != bool(self.ed25519_key_file):
            raise ValueError("ed25519_selector and ed25519_key_file belong together")
        if self.ed25519_key_file and self.algorithm != "rsa-sha256":
            raise ValueError("ed25519_key_file adds a second signature to one by rsa-sha256; here the first is no RSA")
        return self


class Brake(Section):
    """From which share on a campaign pauses itself; 0: never for this reason."""

    refused: float = Field(default=0.05, ge=0, le=1)  # of the messages tried: no such mailbox
    blocked: float = Field(default=0.02, ge=0, le=1)  # of the messages tried: reputation or policy
    complaints_warn: float = Field(default=0.001, ge=0, le=1)  # of the messages sent
    complaints: float = Field(default=0.003, ge=0, le=1)
    minimum: int = Field(default=200, ge=1)  # messages before any share is believed


def _as_addresses_have_it(domain: str) -> str:
    # Here, since it takes long to load, and most files name no destination.
    from email_validator import EmailNotValidError, validate_email

    bare = domain.strip().rstrip(".")
    try:
        found = validate_email(f"a@{bare}", check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError(f"{domain!r} is no domain; write what stands after the @, as in gmail.com") from None
    return (found.ascii_domain or bare).lower()


class Destination(Section):
    """A group of recipients' domains that share one mail system, and how much it takes."""

    domains: tuple[Annotated[str, AfterValidator(_as_addresses_have_it)], ...] = Field(min_length=1)
    rate: float = Field(default=0, ge=0, le=_MOST_A_SECOND)  # messages a second over each transport; 0: its own
    daily: int = Field(default=0, ge=0, le=_MOST_A_DAY)


class Caps(Section):
    """How many messages one contact gets at most, all campaigns and journeys together; 0: no cap."""

    messages_per_day: int = Field(default=0, ge=0)  # in any 24 hours
    messages_per_7_days: int = Field(default=0, ge=0)
    messages_per_30_days: int = Field(default=0, ge=0)


def _not_all_day(hours: str) -> str:
    begin, _, end = hours.partition("-")
    if hours and begin == end:
        raise ValueError(f'"{hours}" leaves no hour to mail in; write "" for no quiet hours')
    return hours


_Hours = Annotated[
    str,
    Field(pattern=r"^(|([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)$"),  # 21:00-08:00
    AfterValidator(_not_all_day),
]


class Quiet(Section):
    """When nobody is mailed, by each recipient's own clock. Transactional messages are exempt."""

    hours: _Hours = ""
    weekends: bool = False  # true: nothing on the country's weekend days
    holidays: bool = False  # true: nothing on the country's public holidays


class QuietHere(Section):
    """What is otherwise in one country (ISO 3166 code); what is left out is as in `[limits.quiet]`."""

    hours: _Hours | None = None
    weekends: bool | None = None
    holidays: bool | None = None


class Limits(Caps):
    """How much is too much."""

    classes: dict[str, Caps] = Field(default={}, alias="class")  # beside the caps of all together
    quiet: Quiet = Quiet()
    quiet_in: dict[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], QuietHere] = {}
    brake: Brake = Brake()
    destination: dict[str, Destination] = {}

    @field_validator("classes")
    @classmethod
    def _can_be_capped(cls, value: dict[str, Caps]) -> dict[str, Caps]:
        if TRANSACTIONAL in value:
            raise ValueError(f"messages of class {TRANSACTIONAL!r} are owed and can't be capped; leave its table out")
        return value

    @field_validator("destination")
    @classmethod
    def _one_group_a_domain(cls, value: dict[str, Destination]) -> dict[str, Destination]:
        group_of: dict[str, str] = {}
        for name, one in value.items():
            for domain in one.domains:
                if group_of.setdefault(domain, name) != name:
                    raise ValueError(f"{domain!r} stands in both {group_of[domain]!r} and {name!r}; leave it in one")
        return value


class Bounces(Section):
    """The mailbox to which servers return what they could not deliver."""

    kind: Literal["none", "imap", "maildir"] = "none"
    host: str = "localhost"
    port: int = Field(default=993, ge=1, le=65535)
    tls: Literal["implicit", "required", "off"] = "implicit"
    username: str = ""
    password_env: str = ""
    password_file: str = ""
    password: SecretStr | None = Field(default=None, exclude=True)
    folder: str = "INBOX"
    path: str = "bounces"

    @model_validator(mode="after")
    def _plaintext_only_at_home(self) -> "Bounces":
        if self.kind == "imap" and self.tls == "off" and self.host not in _LOOPBACK:
            raise ValueError(f'tls = "off" is allowed only to this machine, not to {self.host!r}')
        return self


class Alerts(Section):
    """Whom to tell, once per cause, when a person should look."""

    webhook: str = ""  # gets a POST of JSON
    email: str = ""
    transport: str = ""  # over which the mail goes; empty: the first
    late_minutes: int = Field(default=5, ge=1)  # something due is worth a word after so long


class Web(Section):
    """Where the tracking pages listen, who may bring in contacts, orders and events, and who may watch the engine."""

    listen: str = Field(default="127.0.0.1:8025", pattern=r"^[^\s]+:\d+$")
    in_token_env: str = ""
    in_token_file: str = ""
    in_token: SecretStr | None = Field(default=None, exclude=True)
    watch_token_env: str = ""
    watch_token_file: str = ""
    watch_token: SecretStr | None = Field(default=None, exclude=True)


class Secret(Section):
    """The key behind tokens, delivery ids, draws and suppression hashes."""

    key_file: str = "secret.key"
    old_keys: tuple[str, ...] = ()


class Paths(Section):
    """Where the journal, the spool and the opt-out log lie; a disk that survives restarts."""

    state: str = "state"


class ClockSettings(Section):
    """Demos and rehearsals may stop the engine's clock at one moment, or let it run from there, faster than real."""

    fixed_at: datetime | None = None
    speed: float = Field(default=0, ge=0, le=3600)  # 0: it stands; 60: an hour passes in a minute

    @model_validator(mode="after")
    def _runs_from_somewhere(self) -> "ClockSettings":
        if self.speed and self.fixed_at is None:
            raise ValueError("speed needs fixed_at, the moment from which the clock runs")
        return self
