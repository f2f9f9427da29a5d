"""Every shipped recipe, in every language, goes out as the plain path renders it, whatever its readers are called."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from fused_bench import ADDRESSES, FOLLOWED, check
from nasty import NAMES
from sample_readers import AT, LANGUAGES, RECIPES, compiled, full_reader, shop_of, sparse_reader

from engine.locale import greeting
from engine.message import context_for, findings_in, findings_of, render_mail
from engine.model import Picks, Profile

Reader = Callable[[str], tuple[Profile, Picks]]

every_recipe = pytest.mark.parametrize(("recipe", "language"), [(r, one) for r in RECIPES for one in LANGUAGES])


@every_recipe
@pytest.mark.parametrize("reader", [full_reader, sparse_reader])
def test_a_recipe_says_the_same_both_ways(recipe: str, language: str, reader: Reader) -> None:
    template = compiled(recipe, language)
    context = context_for(template, *reader(language), shop_of(language), AT)

    for addresses in ADDRESSES:
        found = check(template, context, addresses)
        assert found is not None
        assert found.trace is not None  # by the quick way
        assert found.is_relaxed
        assert findings_in(found.plainly()) == findings_of(found)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:40])
def test_a_nasty_name_changes_nothing_of_that(name: str) -> None:
    profile, picks = full_reader("en")
    cards = tuple(replace(card, title=name, reason=name) for card in picks.new_for_you)
    profile = replace(profile, given_name=name, greeting=greeting("en", name))

    for recipe in RECIPES:
        template = compiled(recipe, "en")
        context = context_for(template, profile, replace(picks, new_for_you=cards), shop_of("en"), AT)
        found = check(template, context, FOLLOWED)
        assert found is None or findings_in(found.plainly()) == findings_of(found)


@every_recipe
def test_a_recipe_is_looked_at_the_quick_way(recipe: str, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    template = compiled(recipe, language)
    context = context_for(template, *full_reader(language), shop_of(language), AT)

    monkeypatch.setattr("engine.message.shapes.findings_in", None)

    assert [] == findings_of(render_mail(template, context, FOLLOWED))
