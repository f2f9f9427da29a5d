"""Takes the pictures of docs/recipes.md: `python tests/unit/templates/take_pictures.py` from the project's folder."""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sample_readers import CHROMIUM, CHROMIUM_SWITCHES, LANGUAGES, RECIPES, full_reader, rendered

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
WIDTHS = (375, 640)
COLOURS = 48  # enough for text on calm grounds; keeps a picture near 30 kB


def main() -> None:
    """One full-page picture a recipe, language and width, and one in the dark."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_SWITCHES)
        for recipe in RECIPES:
            for language in LANGUAGES:
                for width in WIDTHS:
                    _take(browser, recipe, language, width)
        _take(browser, "winback", "en", 375, dark=True)
        browser.close()


def _take(browser: Browser, recipe: str, language: str, width: int, dark: bool = False) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light")
    page.set_content(rendered(recipe, language, full_reader(language)).html, wait_until="load")
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    page.close()
    name = f"{recipe}-{language}-{width}{'-dark' if dark else ''}.png"
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)


if __name__ == "__main__":
    main()
