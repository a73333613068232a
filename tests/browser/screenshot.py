"""Make the README's picture: the search page over the demo's collection.

make demo DEMO_UI=0 && STLIB_HOME=.demo .venv/bin/python tests/browser/screenshot.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote_plus

from conftest import ARGUMENTS, find_chromium
from playwright.sync_api import sync_playwright

from app.settings import EXAMPLE_QUESTIONS, Location
from app.ui.server import free_port, running_server

PICTURE = Path(__file__).resolve().parents[2] / "app" / "ui" / "static" / "search-page.png"


def main(picture: Path = PICTURE) -> None:
    with (
        running_server(Location.from_environment(), free_port()) as (address, _),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1120, "height": 700}, color_scheme="light")
        url = f"{address}/?q={quote_plus(EXAMPLE_QUESTIONS[0])}"
        for _ in range(2):  # the first visit opens the collection: the picture shows the time of a warm one
            page.goto(url)
            page.wait_for_selector(".st-card")
            page.evaluate("document.fonts.ready")
            page.wait_for_timeout(500)  # Streamlit fades its parts in
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
