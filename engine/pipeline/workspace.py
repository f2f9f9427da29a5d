"""What does every verb need? The workspace: its settings, its database, its secret and its clock, opened together."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from engine import audience, store
from engine.clock import Clock, system_clock
from engine.config import Settings, load_settings, new_key, shipped
from engine.errors import MailerError, Refused, StoreUnavailable, UnknownCampaign, Usage, nearest
from engine.links import Keys
from engine.rules import Rule
from engine.store import Store
from engine.store.tables import fact

_REHEARSAL = "rehearsal"
_EXAMPLES = Path(str(files("engine"))) / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    """An opened workspace: handed to every verb of the story."""

    folder: Path
    settings: Settings
    store: Store
    keys: Keys
    clock: Clock

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return self.settings.shop.zone

    @property
    def currency(self) -> str:
        """The shop's currency, ISO 4217."""
        return self.settings.shop.currency

    @property
    def templates_dir(self) -> Path:
        """The owner's templates."""
        return self.folder / "templates"

    @property
    def campaigns_dir(self) -> Path:
        """The owner's campaign files."""
        return self.folder / "campaigns"

    @property
    def journeys_dir(self) -> Path:
        """The owner's journey files."""
        return self.folder / "journeys"

    @property
    def example_campaigns(self) -> Path:
        """The campaign files of the shipped recipes."""
        return _EXAMPLES / "campaigns"

    @property
    def example_journeys(self) -> Path:
        """The journey files of the shipped recipes."""
        return _EXAMPLES / "journeys"

    def copy_recipes(self) -> list[Path]:
        """Bring shipped templates into the workspace where they are missing; gives the files written."""
        sources = _tree(shipped("templates"), self.templates_dir)
        return [target for source, target in sources if _copied(source, target)]

    def segments(self) -> dict[str, audience.Segment]:
        """The owner's segments, all checked."""
        return audience.load_segments(self.folder / "segments.toml", self.zone)

    def rules(self) -> dict[str, Rule]:
        """The segments' rules by name, as the evaluators want them."""
        return {name: segment.rule for name, segment in self.segments().items()}

    def has_campaign(self, name: str) -> bool:
        """Whether there is a campaign file of this name."""
        return (self.campaigns_dir / f"{name}.toml").is_file()

    def campaign_file(self, name: str) -> Path:
        """The file of a campaign; UnknownCampaign with the nearest name."""
        path = self.campaigns_dir / f"{name}.toml"
        if "/" in name or not path.is_file():
            known = sorted(one.stem for one in self.campaigns_dir.glob("*.toml"))
            # `campaigns/winback.toml` is written where `winback` is meant.
            meant = nearest(Path(name).name.removesuffix(".toml"), known)
            raise UnknownCampaign(
                f"there is no campaign {name!r} in {self.campaigns_dir}{meant} (known: {', '.join(known) or 'none'})"
            )
        return path


def open_mailer(folder: Path) -> Mailer:
    """Open the workspace; every process refuses to start with another secret than the database was made with."""
    settings = load_settings(folder)
    keys = Keys(settings.secret_bytes(), tuple(key.get_secret_value().encode() for key in settings.old_keys))
    opened = store.open_store(settings.database_url)
    try:
        _same_secret(opened, keys, settings)
        clock = _clock(opened, settings)
    except MailerError:
        opened.close()
        raise
    return Mailer(folder=folder, settings=settings, store=opened, keys=keys, clock=clock)


def upgrade_database(folder: Path) -> None:
    """Create the database where it is missing and bring it to this engine's version."""
    store.upgrade(load_settings(folder).database_url)


def init(folder: Path, config: str | None = None) -> list[Path]:
    """A new workspace with working examples and a fresh secret; gives the files written.

    `config` stands in for the commented example of config.toml.

    Raises Refused when the folder has a config.toml: nothing that exists is ever touched.
    """
    if (folder / "config.toml").exists():
        raise Refused(f"{folder / 'config.toml'} exists already; `mailer init` writes only into a folder without one")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config or shipped("config.example.toml").read_text("utf-8"), encoding="utf-8")
    sources = _tree(shipped("templates"), folder / "templates") + _tree(_EXAMPLES, folder)
    written = [folder / "config.toml", *(target for source, target in sources if _copied(source, target))]
    if not (folder / "secret.key").exists():
        new_key(folder / "secret.key")
        written.append(folder / "secret.key")
    upgrade_database(folder)
    return written


def backup(folder: Path, copy: Path) -> None:
    """Write a consistent copy of the SQLite database, also while it is in use (VACUUM INTO)."""
    settings = load_settings(folder)
    if not settings.database_url.startswith("sqlite"):
        raise Usage("this workspace is on PostgreSQL; pg_dump writes its copies")
    if copy.exists():
        raise Refused(f"{copy} exists already; choose another name")
    if not copy.absolute().parent.is_dir():
        raise Usage(f"the folder of {copy} does not exist; make it first, or choose another")
    opened = store.open_store(settings.database_url)
    try:
        with opened.reader() as db:
            db.exec_driver_sql("VACUUM INTO ?", (str(copy),))
    except OperationalError as fault:
        copy.unlink(missing_ok=True)  # half a copy is worse than none
        raise StoreUnavailable(f"{copy} can't be written: {fault.orig}; check its disk and rights") from fault
    finally:
        opened.close()


def _tree(source: Path, target: Path) -> list[tuple[Path, Path]]:
    found = sorted(path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return [(path, target / path.relative_to(source)) for path in found]


def _copied(source: Path, target: Path) -> bool:
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return True


def _same_secret(opened: Store, keys: Keys, settings: Settings) -> None:
    """The database stores the secret's fingerprint: with another secret nobody's opt-out would be found."""
    known = _fingerprint(opened)
    if known is None:
        with opened.write() as db:
            first = opened.insert(fact).values(name="key_fingerprint", value=keys.fingerprint)
            db.execute(first.on_conflict_do_nothing())
        known = _fingerprint(opened)
    if known != keys.fingerprint:
        raise Refused(
            f"the secret in {settings.secret.key_file} (or MAILER_KEY) is not the one this database was made with; "
            "opt-outs and links would be lost: restore that key file"
        )


def _clock(opened: Store, settings: Settings) -> Clock:
    """A rehearsal's clock runs from its first start, kept in the database: one for all processes, also restarted."""
    if not settings.clock.speed:
        return settings.make_clock()
    rehearsal = f"{settings.clock.fixed_at} x {settings.clock.speed}"  # another one begins anew
    with opened.read() as db:
        row = db.execute(sa.select(fact.c.value).where(fact.c.name == _REHEARSAL)).scalar_one_or_none()
    if row is None or row["of"] != rehearsal:
        first = {"name": _REHEARSAL, "value": {"of": rehearsal, "since": system_clock().isoformat()}}
        with opened.write() as db:
            again = opened.insert(fact).values(first)
            if row is None:  # of two who start at once, the first
                db.execute(again.on_conflict_do_nothing())
            else:
                db.execute(again.on_conflict_do_update(index_elements=["name"], set_=first))
            row = db.execute(sa.select(fact.c.value).where(fact.c.name == _REHEARSAL)).scalar_one()
    return settings.make_clock(datetime.fromisoformat(row["since"]))


def _fingerprint(opened: Store) -> str | None:
    with opened.read() as db:
        return db.execute(sa.select(fact.c.value).where(fact.c.name == "key_fingerprint")).scalar_one_or_none()
