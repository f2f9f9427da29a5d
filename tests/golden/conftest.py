"""The golden shops, opened once a run: their mails are looked at, nothing is sent."""

from collections.abc import Callable, Iterator

import pytest
from golden_shops import open_shop

from engine.pipeline import Mailer


@pytest.fixture(scope="session")
def shop_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Mailer]]:
    """The opened shop that writes in a language."""
    opened: dict[str, Mailer] = {}

    def give(language: str) -> Mailer:
        if language not in opened:
            opened[language] = open_shop(tmp_path_factory.mktemp("golden") / language, language)
        return opened[language]

    yield give
    for mailer in opened.values():
        mailer.store.close()
