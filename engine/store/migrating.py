"""How do the tables reach this engine's version? Alembic runs the revisions of migrations/, in order."""

from typing import TYPE_CHECKING

from engine.config import shipped
from engine.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config


def newest_version() -> str:
    """The revision that this engine's tables stand at: revisions are numbered by their file names."""
    return max(path.name.partition("_")[0] for path in (shipped("migrations") / "versions").glob("[0-9]*.py"))


def upgrade(url: str) -> None:
    """Run whatever revisions are missing."""
    # Half a second of import that no other command needs.
    from alembic.command import upgrade as run
    from alembic.util import CommandError

    try:
        run(configuration(url), "head")
    except CommandError as fault:
        raise StoreUnavailable(
            f"the database can't be brought to version {newest_version()}: {fault}; install the engine that made it"
        ) from fault


def configuration(url: str) -> "Config":
    """What Alembic wants to know."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.attributes["url"] = url
    return config
