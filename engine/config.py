"""What did the owner set? config.toml and the environment, checked at the door into one frozen Settings."""

import os
import re
import secrets
import tomllib
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from engine.clock import Clock, clock_set_to, system_clock
from engine.errors import BadConfig, nearest
from engine.model import TrackingMode

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_APIS = ("resend", "ses")
_ENDPOINT = r"https://[^\s/@]+(/[^\s?#]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/[^\s?#]*)?"
_TOPIC = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$"
_OVERRIDE = re.compile(r"MAILER_TRANSPORT__(?P<name>\w+)__PASSWORD")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shop(_Section):
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


class Database(_Section):
    """Where the facts live."""

    url: str = "sqlite:///mailer.db"

    @field_validator("url")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if not re.match(r"sqlite:///[^?]|postgresql://.", value):
            raise ValueError("write sqlite:///mailer.db or postgresql://user@host/name")
        return value


class Sender(_Section):
    """What stands in the headers of every mail."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    from_: str = Field(alias="from", min_length=3)
    reply_to: str = ""
    feedback_id: str = Field(default="", max_length=15)
    drift_limit: float = Field(default=0.01, ge=0, le=1)
    allow_test_domains: bool = False


class TransportSettings(_Section):
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
    timeout: float = Field(default=60, gt=0)
    folder: str = "outbox"
    auth: Literal["auto", "plain", "login", "cram-md5", "xoauth2"] = "auto"
    chunking: bool = True
    messages_per_connection: int = Field(default=100, ge=1)
    rate: float = Field(default=0, ge=0)  # messages a second; 0: as fast as it goes
    daily: int = Field(default=0, ge=0)  # messages a day of the shop's; 0: no cap
    warm_up: tuple[Annotated[int, Field(ge=1)], ...] = ()  # messages on the first day, the second ...
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
        if self.kind not in _APIS:
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


class Tracking(_Section):
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


class Dkim(_Section):
    """The key that signs for one domain."""

    selector: str = Field(min_length=1)
    key_file: str = Field(min_length=1)
    algorithm: Literal["rsa-sha256", "ed25519-sha256"] = "rsa-sha256"
    ed25519_selector: str = ""  # with the next: a second signature, for receivers that know RFC 8463
    ed25519_key_file: str = ""

    @model_validator(mode="after")
    def _second_signature_is_whole(self) -> "Dkim":
        if bool(self.ed25519_selector) != bool(self.ed25519_key_file):
            raise ValueError("ed25519_selector and ed25519_key_file belong together")
        if self.ed25519_key_file and self.algorithm != "rsa-sha256":
            raise ValueError("ed25519_key_file adds a second signature to one by rsa-sha256; here the first is no RSA")
        return self


class Brake(_Section):
    """From which share on a campaign pauses itself; 0: never for this reason."""

    refused: float = Field(default=0.05, ge=0, le=1)  # of the messages tried: no such mailbox
    blocked: float = Field(default=0.02, ge=0, le=1)  # of the messages tried: reputation or policy
    complaints_warn: float = Field(default=0.001, ge=0, le=1)  # of the messages sent
    complaints: float = Field(default=0.003, ge=0, le=1)
    minimum: int = Field(default=200, ge=1)  # messages before any share is believed


class Destination(_Section):
    """A group of recipients' domains that share one mail system, and how much it takes."""

    domains: tuple[str, ...] = Field(min_length=1)
    rate: float = Field(default=0, ge=0)  # messages a second over each transport; 0: the transport's own
    daily: int = Field(default=0, ge=0)


class Limits(_Section):
    """How much is too much."""

    messages_per_30_days: int = Field(default=0, ge=0)  # 0: no cap
    brake: Brake = Brake()
    destination: dict[str, Destination] = {}


class Bounces(_Section):
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


class Web(_Section):
    """Where the tracking pages listen."""

    listen: str = Field(default="127.0.0.1:8025", pattern=r"^[^\s]+:\d+$")


class Secret(_Section):
    """The key behind tokens, delivery ids, draws and suppression hashes."""

    key_file: str = "secret.key"
    old_keys: tuple[str, ...] = ()


class Paths(_Section):
    """Where the journal, the spool and the opt-out log lie; a disk that survives restarts."""

    state: str = "state"


class ClockSettings(_Section):
    """Demos and rehearsals may stop the engine's clock at one moment."""

    fixed_at: datetime | None = None


class _File(_Section):
    shop: Shop
    sender: Sender
    database: Database = Database()
    transport: Annotated[dict[str, TransportSettings], Field(min_length=1)]
    tracking: Tracking = Tracking()
    dkim: dict[str, Dkim] = {}
    limits: Limits = Limits()
    bounces: Bounces = Bounces()
    web: Web = Web()
    secret: Secret = Secret()
    paths: Paths = Paths()
    clock: ClockSettings = ClockSettings()

    @field_validator("transport", mode="before")
    @classmethod
    def _no_password_here(cls, value: Any) -> Any:
        for name, one in value.items() if isinstance(value, dict) else ():
            for secret in ("password", "webhook_secret"):
                if isinstance(one, dict) and secret in one:
                    raise ValueError(
                        f"transport.{name}.{secret}: a secret never stands here; use {secret}_env or {secret}_file"
                    )
        return value

    @field_validator("bounces", mode="before")
    @classmethod
    def _nor_here(cls, value: Any) -> Any:
        if isinstance(value, dict) and "password" in value:
            raise ValueError("bounces.password: a password never stands here; use password_env or password_file")
        return value

    @model_validator(mode="after")
    def _backups_exist(self) -> "_File":
        for name, one in self.transport.items():
            if one.backup and (one.backup == name or one.backup not in self.transport):
                raise ValueError(f"transport.{name}.backup: {one.backup!r} is no other transport of this file")
        return self


class Settings(_File):
    """All that the owner set, checked; paths are resolved against the workspace."""

    workspace: Path
    key: SecretStr = Field(exclude=True)
    old_keys: tuple[SecretStr, ...] = Field(default=(), exclude=True)

    def path(self, relative: str) -> Path:
        """A path of config.toml, seen from the workspace."""
        return self.workspace / relative

    @property
    def state_dir(self) -> Path:
        """The folder of journal, spool and opt-out log."""
        return self.path(self.paths.state)

    @property
    def database_url(self) -> str:
        """The database's URL; a relative SQLite file lies in the workspace."""
        match = re.match(r"sqlite(?:\+\w+)?:///(?!/)(?P<file>[^?]+)", self.database.url)
        return f"sqlite:///{self.path(match['file'])}" if match else self.database.url

    def make_clock(self) -> Clock:
        """The engine's clock: the machine's, unless the workspace stops it at one moment."""
        return clock_set_to(self._fixed_at()) if self.clock.fixed_at else system_clock

    def _fixed_at(self) -> datetime:
        moment = self.clock.fixed_at
        assert moment is not None
        return moment if moment.tzinfo else moment.replace(tzinfo=self.shop.zone)

    def secret_bytes(self) -> bytes:
        """The secret itself; hand it to `links.Keys`, never to a log."""
        return self.key.get_secret_value().encode()


def load_settings(workspace: Path, environ: "os._Environ[str] | dict[str, str] | None" = None) -> Settings:
    """Read `workspace`/config.toml; raises BadConfig with every fault at once."""
    environ = dict(os.environ if environ is None else environ)
    path = workspace / "config.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadConfig(f"{path} does not exist; `mailer init {workspace}` makes a workspace") from None
    except OSError as fault:
        raise BadConfig(f"{path} can't be read: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadConfig(f"{path}: not valid TOML: {fault}") from fault
    try:
        checked = _File.model_validate(raw)
        transports = {name: _with_secrets(name, one, workspace, environ) for name, one in checked.transport.items()}
        password = _secret("bounces", "password", checked.bounces, workspace, environ)
    except ValidationError as fault:
        raise BadConfig(f"{path}: " + "; ".join(_told(error) for error in fault.errors())) from None
    except OSError as fault:
        raise BadConfig(f"{path}: the secret's file {fault.filename} can't be read: {fault.strerror}") from None
    bounces = checked.bounces.model_copy(update={"password": password})
    update = {name: getattr(checked, name) for name in _File.model_fields}
    update |= {"transport": transports, "bounces": bounces}
    old = tuple(SecretStr(_read_key(workspace / name)) for name in checked.secret.old_keys)
    key = environ.get("MAILER_KEY") or _read_key(workspace / checked.secret.key_file)
    return Settings.model_construct(**update, workspace=workspace, key=SecretStr(key), old_keys=old)


def new_key(path: Path) -> None:
    """Write a fresh secret, readable by its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")


def shipped(name: str) -> Path:
    """A folder or file that comes with the engine (templates, migrations), from the wheel or the source tree."""
    inside = Path(str(files("engine"))) / "shipped" / name
    return inside if inside.exists() else Path(str(files("engine"))).parent / name


def _read_key(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise BadConfig(
            f"the secret key {path} does not exist; restore it from its backup (a new one is written only by "
            "`mailer init` for a new shop: links and opt-outs hang on it)"
        ) from None
    except (OSError, UnicodeDecodeError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else "it holds other signs than ASCII letters"
        raise BadConfig(f"the secret key {path} can't be read: {said}; restore it from its backup") from None
    if len(key) < 32:
        raise BadConfig(f"the secret key {path} is shorter than 32 characters")
    return key


def _with_secrets(
    name: str, transport: TransportSettings, workspace: Path, environ: dict[str, str]
) -> TransportSettings:
    override = environ.get(f"MAILER_TRANSPORT__{name.upper().replace('-', '_')}__PASSWORD")
    where = f"transport {name!r}"
    password = SecretStr(override) if override else _secret(where, "password", transport, workspace, environ)
    if transport.kind in _APIS and not (password and password.get_secret_value()):
        raise BadConfig(f"{where}: {transport.kind} needs a key; set password_env or password_file")
    webhook_secret = _secret(where, "webhook_secret", transport, workspace, environ)
    return transport.model_copy(update={"password": password, "webhook_secret": webhook_secret})


def _secret(
    where: str, name: str, section: TransportSettings | Bounces, workspace: Path, environ: dict[str, str]
) -> SecretStr | None:
    variable, file = getattr(section, f"{name}_env"), getattr(section, f"{name}_file")
    if variable:
        if variable not in environ:
            raise BadConfig(f"{where}: the environment holds no {variable}; set it before you start")
        return SecretStr(environ[variable])
    return SecretStr((workspace / file).read_text(encoding="utf-8").strip()) if file else None


def _told(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}{nearest(str(error['loc'][-1]), _known_keys(error['loc']))}"
    if error["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"


def _known_keys(where: tuple[Any, ...]) -> list[str]:
    """The keys that the table around `where` may hold."""
    named = {"transport": TransportSettings, "dkim": Dkim, "destination": Destination}  # [transport.NAME]
    owner: Any = _File
    parts = [str(part) for part in where[:-1]]
    while parts:
        part = parts.pop(0)
        owner = named[part] if part in named else owner.model_fields[part].annotation
        parts = parts[1:] if part in named else parts
    fields = getattr(owner, "model_fields", {})
    return [info.alias or name for name, info in fields.items() if name not in ("password", "webhook_secret")]
