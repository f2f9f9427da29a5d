"""How do config.toml, the environment and the secrets' files become one frozen Settings? Every fault at once."""

import os
import re
import secrets
import tomllib
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from engine.clock import Clock, clock_running, clock_set_to, system_clock
from engine.config.sections import (
    APIS,
    Alerts,
    Bounces,
    Caps,
    ClockSettings,
    Database,
    Destination,
    Dkim,
    Limits,
    Paths,
    QuietHere,
    Secret,
    Section,
    Sender,
    Shop,
    Tracking,
    TransportSettings,
    Web,
)
from engine.errors import BadConfig, nearest


class File(Section):
    """All of config.toml."""

    shop: Shop
    sender: Sender
    database: Database = Database()
    transport: Annotated[dict[str, TransportSettings], Field(min_length=1)]
    tracking: Tracking = Tracking()
    dkim: dict[str, Dkim] = Field(default_factory=dict)
    limits: Limits = Limits()
    bounces: Bounces = Bounces()
    alerts: Alerts = Alerts()
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
                    what = f"a {secret.replace('_', ' ')} never stands here; use {secret}_env or {secret}_file"
                    raise ValueError(f"transport.{name}.{secret}: {what}")
        return value

    @field_validator("bounces", mode="before")
    @classmethod
    def _nor_here(cls, value: Any) -> Any:
        if isinstance(value, dict) and "password" in value:
            raise ValueError("bounces.password: a password never stands here; use password_env or password_file")
        return value

    @field_validator("web", mode="before")
    @classmethod
    def _nor_there(cls, value: Any) -> Any:
        for token in ("in_token", "watch_token"):
            if isinstance(value, dict) and token in value:
                raise ValueError(f"web.{token}: a token never stands here; use {token}_env or {token}_file")
        return value

    @model_validator(mode="after")
    def _alerts_have_a_way(self) -> "File":
        if self.alerts.transport and self.alerts.transport not in self.transport:
            raise ValueError(f"alerts.transport: {self.alerts.transport!r} is no transport of this file")
        return self

    @model_validator(mode="after")
    def _backups_exist(self) -> "File":
        for name, one in self.transport.items():
            if one.backup and (one.backup == name or one.backup not in self.transport):
                raise ValueError(f"transport.{name}.backup: {one.backup!r} is no other transport of this file")
        return self


class Settings(File):
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

    def make_clock(self, since: datetime | None = None) -> Clock:
        """The engine's clock: the machine's, unless the workspace stops it at one moment, or lets it run from there.

        `since`: the real moment at which a running one stood at `fixed_at`, the same for all processes.
        """
        moment = self.clock.fixed_at
        if moment is None:
            return system_clock
        start = moment if moment.tzinfo else moment.replace(tzinfo=self.shop.zone)
        return clock_running(start, since, self.clock.speed) if self.clock.speed and since else clock_set_to(start)

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
        checked = File.model_validate(raw)
        transports = {name: _with_secrets(name, one, workspace, environ) for name, one in checked.transport.items()}
        password = _secret("bounces", "password", checked.bounces, workspace, environ)
        tokens = {name: _secret("web", name, checked.web, workspace, environ) for name in ("in_token", "watch_token")}
    except ValidationError as fault:
        raise BadConfig(f"{path}: " + "; ".join(_told(error) for error in fault.errors())) from None
    except OSError as fault:
        raise BadConfig(f"{path}: the secret's file {fault.filename} can't be read: {fault.strerror}") from None
    bounces = checked.bounces.model_copy(update={"password": password})
    update = {name: getattr(checked, name) for name in File.model_fields}
    update |= {"transport": transports, "bounces": bounces}
    update |= {"web": checked.web.model_copy(update=tokens)}
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
    if transport.kind in APIS and not (password and password.get_secret_value()):
        raise BadConfig(f"{where}: {transport.kind} needs a key; set password_env or password_file")
    webhook_secret = _secret(where, "webhook_secret", transport, workspace, environ)
    return transport.model_copy(update={"password": password, "webhook_secret": webhook_secret})


def _secret(
    where: str, name: str, section: TransportSettings | Bounces | Web, workspace: Path, environ: dict[str, str]
) -> SecretStr | None:
    variable, file = getattr(section, f"{name}_env"), getattr(section, f"{name}_file")
    if variable:
        if variable not in environ:
            raise BadConfig(f"{where}: the environment holds no {variable}; set it before you start")
        return SecretStr(environ[variable])
    try:
        return SecretStr((workspace / file).read_text(encoding="utf-8").strip()) if file else None
    except UnicodeDecodeError:
        raise BadConfig(f"{where}: {name}_file {file} is no text in UTF-8; save it as such") from None


def _told(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}{nearest(str(error['loc'][-1]), _known_keys(error['loc']))}"
    if error["type"] == "missing":
        return f"{where} is missing"
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def _known_keys(where: tuple[Any, ...]) -> list[str]:
    """The keys that the table around `where` may hold."""
    # [transport.NAME] and their like
    named = {"transport": TransportSettings, "dkim": Dkim, "destination": Destination}
    named |= {"class": Caps, "quiet_in": QuietHere}
    owner: Any = File
    parts = [str(part) for part in where[:-1]]
    while parts:
        part = parts.pop(0)
        owner = named[part] if part in named else owner.model_fields[part].annotation
        parts = parts[1:] if part in named else parts
    fields = getattr(owner, "model_fields", {})
    return [
        info.alias or name
        for name, info in fields.items()
        if name not in ("password", "webhook_secret", "in_token", "watch_token")
    ]
