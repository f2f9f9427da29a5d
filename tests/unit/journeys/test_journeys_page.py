import re
from pathlib import Path

from engine.journeys.files import load
from engine.journeys.keys import KEYS_OF, START_KINDS, JourneyTable, StartTable, StepTable
from engine.journeys.outline import as_text

PAGE = (Path(__file__).parents[3] / "docs" / "journeys.md").read_text("utf-8")


def test_the_journey_of_the_page_is_sound_and_looks_as_the_page_shows(tmp_path: Path) -> None:
    written, shown = re.search(r"```toml\n(.*?)```\n\n```\n(.*?)```", PAGE, re.DOTALL).groups()  # type: ignore[union-attr]
    (tmp_path / "welcome.toml").write_text(written, "utf-8")

    assert shown == as_text(load(tmp_path / "welcome.toml", ("new_signups",)))


def test_the_page_tells_of_every_key() -> None:
    keys = {*START_KINDS, *KEYS_OF, *StepTable.model_fields, *StartTable.model_fields}
    keys |= {info.alias or name for name, info in JourneyTable.model_fields.items()}

    assert [] == sorted(key for key in keys if not re.search(rf"\b{key}\b", PAGE))
