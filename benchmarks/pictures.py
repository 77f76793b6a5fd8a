"""`python -m benchmarks.pictures FOLDER`: a picture of every page of the workbench, light and dark.

Each shows the quick start as a newcomer gets it. Needs a Chromium.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.app import browsing, served, visitor

SETTLED_MS = 3000           # figures are drawn a moment after their page
LIVE = "scenario?scenario=ten_thousand_tenants_week"


def _quick_start(page: Page, address: str) -> str:
    """Simulate the quick start; the id of its run."""
    page.goto(address)
    page.get_by_role("button", name="Simulate the quick start").click()
    page.get_by_text("All 7 promises were kept.").wait_for()
    found = re.search(r"run=([^&]+)", page.url)
    assert found is not None
    return found.group(1)


def _running(page: Page, address: str) -> None:
    """A week of 60 million requests, a few seconds after its start."""
    page.goto(f"{address}/{LIVE}")
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.get_by_text(re.compile("requests a second arrive")).wait_for()
    page.wait_for_timeout(3 * SETTLED_MS)


def _what_if(page: Page, address: str, run: str) -> str:
    """Ask what an outage would do; the id of the run after the change."""
    page.goto(f"{address}/{_what_if_path(run)}")
    found = page.get_by_role("link", name="All results after the change").get_attribute("href")
    assert found is not None
    return found.partition("run=")[2]


def _what_if_path(run: str) -> str:
    return f"what_if?run={run}&demand=1.25x&outage=openai"


def _pages(run: str, changed: str) -> dict[str, tuple[str, str]]:
    """By name: the address of a page, and a text that it has once it is whole."""
    return {
        "home": ("", "Scenarios that ship"),
        "scenario": ("scenario?scenario=quickstart", "It holds together"),
        "run": (f"run?run={run}", "All 7 promises were kept."),
        "what_if": (_what_if_path(run), "on the same random draws"),
        "results": (f"results?run={run}", "What was short"),
        "load": (f"results?run={run}&view=Load", "Load against capacity"),
        "money": (f"results?run={run}&view=Money", "How the cost adds up"),
        "tenants": (f"results?run={run}&view=Tenants", "2,000 of 2,000 tenants"),
        "tenant": (f"tenant?run={run}&tenant=enterprise-1", "Beside its tier"),
        "compare": (f"compare?runs={run},{changed}", "Replications"),
        "explain": (f"explain?run={run}&request=500000", "Request 500"),
        "plan": (f"plan?run={run}", "What may be contracted"),
        "tune": (f"tune?run={run}", "Policies to try"),
        "library": ("library", "Choose rows"),
    }


def take(folder: Path, *, dark: bool) -> None:
    """Pictures of every page in one of the two themes."""
    theme = "dark" if dark else "light"
    with tempfile.TemporaryDirectory() as runs, served(Path(runs)) as address, browsing() as browser:
        page = visitor(browser, dark=dark)
        run = _quick_start(page, address)
        for name, (path, whole) in _pages(run, _what_if(page, address, run)).items():
            page.goto(f"{address}/{path}")
            page.get_by_text(whole).first.wait_for()
            page.wait_for_timeout(SETTLED_MS)
            page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
            page.screenshot(path=folder / f"{name}-{theme}.png")
        _running(page, address)
        page.screenshot(path=folder / f"running-{theme}.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Take all pictures. Exit status 0, or 2 without a Chromium."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description="Pictures of the workbench.")
    parser.add_argument("folder", type=Path, help="where to put them")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for dark in (False, True):
            take(folder, dark=dark)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
