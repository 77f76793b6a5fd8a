"""The workbench in a real browser: to the first result of the quick start, from a slider to its result, to a run's end by Cancel.

Wall seconds as a person has them: from an action to what it should bring on the page. Compiled code is
in the cache, as it is after `make demo`; the server is started anew.
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil
from playwright.sync_api import Browser, Page

from benchmarks.app import browsing, served, visitor
from benchmarks.common import load, warm_up

RESULTS = ("app_first_result_s", "app_slider_to_result_s", "app_cancel_s")
QUICK_START, WEEK = "quickstart", "ten_thousand_tenants_week"
MOVES, CANCELS = 5, 5
UNDER_WAY_MS = 3_000
AT_REST_S = 0.1             # of CPU in half a second
LOOK_MS = 20                # Playwright's own waiting looks every half second in the end


def wait_for(page: Page, text: str) -> None:
    """Until a text stands on the page, seen within LOOK_MS."""
    page.wait_for_function("text => document.querySelector('.stMain')?.textContent.includes(text)", arg=text, polling=LOOK_MS)


def first_result_s(browser: Browser, runs: Path) -> float:
    """From the start of the server through one click to the outcome of the whole quick start."""
    began_s = time.perf_counter()
    with served(runs) as address:
        page = visitor(browser)
        page.goto(address)
        page.get_by_role("button", name="Simulate the quick start").click()
        wait_for(page, "See all results")
        return time.perf_counter() - began_s


def slider_to_result_s(browser: Browser, address: str) -> float:
    """From a key press on the slider of an account type to the whole day with so many accounts: the median of several moves."""
    page = visitor(browser)
    page.goto(f"{address}/what_if?scenario={QUICK_START}")
    wait_for(page, "Nothing is changed yet")
    slider = page.get_by_role("slider", name="Accounts of google")
    slider.focus()
    before = next(account.count for account in load("scenarios/quickstart.yaml").scenario.accounts if account.name == "google")
    taken_s = []
    for accounts in range(before + 1, before + 1 + MOVES):
        began_s = time.perf_counter()
        slider.press("ArrowRight")
        wait_for(page, f"Changed: {accounts} accounts of google. Simulated")
        taken_s.append(time.perf_counter() - began_s)
    return median(taken_s)


def cancel_s(browser: Browser, address: str) -> float:
    """From Cancel, under way in a week of 60 million requests, until the page says so and nothing computes: the median of some."""
    page = visitor(browser)
    page.goto(f"{address}/scenario?scenario={WEEK}")
    while len(_workers()) < (os.cpu_count() or 1) or _computed_s(page) > AT_REST_S:     # the last ones warm up after a while
        page.wait_for_timeout(500)
    taken_s = []
    for _ in range(CANCELS):
        page.goto(f"{address}/scenario?scenario={WEEK}")
        page.get_by_role("button", name="Simulate", exact=True).click()
        wait_for(page, "simulated up to")
        page.wait_for_timeout(UNDER_WAY_MS)
        began_s = time.perf_counter()
        page.get_by_role("button", name="Cancel").click()
        wait_for(page, "It was cancelled.")
        taken_s.append(time.perf_counter() - began_s)
        if (still_s := _computed_s(page)) > AT_REST_S:
            raise RuntimeError(f"the cancelled run still computes: {still_s:.2f} s of CPU within half a second")
    return median(taken_s)


def _workers() -> list[psutil.Process]:
    living = (process for process in psutil.Process().children(recursive=True) if process.status() != psutil.STATUS_ZOMBIE)
    return [process for process in living if "forge1sim.runs.worker" in process.cmdline()]


def _computed_s(page: Page) -> float:
    """CPU seconds that workers take in half a second."""
    workers = _workers()
    before_s = sum(sum(worker.cpu_times()[:2]) for worker in workers)
    page.wait_for_timeout(500)
    return sum(sum(worker.cpu_times()[:2]) for worker in workers) - before_s


def run() -> dict[str, float]:
    """Wall seconds of each. Needs a Chromium."""
    warm_up(load("scenarios/quickstart.yaml"), "compiled")
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        first = first_result_s(browser, Path(folder) / "first")
        with served(Path(folder) / "runs") as address:
            slider = slider_to_result_s(browser, address)
            cancel = cancel_s(browser, address)
    return {"app_first_result_s": first, "app_slider_to_result_s": slider, "app_cancel_s": cancel}
