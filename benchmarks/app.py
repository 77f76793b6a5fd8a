"""The workbench as people meet it: served by its own process, opened in a real Chromium."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.common import ROOT

START_S = 60.0
WAIT_MS = 120_000           # for anything on a page: the first run of all compiles
WIDTH, HEIGHT = 1360, 900
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str | None:
    """The path of a Chromium on this machine: CHROME, else by name; None if there is none."""
    return next((path for name in (os.environ.get("CHROME", ""), *_NAMES) if name and (path := shutil.which(name))), None)


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """The address of a workbench of its own, which keeps its runs in a folder; gone after the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=ROOT, env={**os.environ, "FORGE1SIM_RUNS": str(runs)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(address)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_healthy(address: str) -> None:
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health"):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the workbench did not start within {START_S:.0f} s")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A Chromium without a window. Raises RuntimeError if there is none."""
    path = chromium()
    if path is None:
        raise RuntimeError(f"no Chromium: install one, or name it in CHROME (looked for {', '.join(_NAMES)})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def visitor(browser: Browser, *, dark: bool = False) -> Page:
    """A page of somebody who was never here before."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if dark else "light", accept_downloads=True
    )
    context.set_default_timeout(WAIT_MS)
    return context.new_page()
