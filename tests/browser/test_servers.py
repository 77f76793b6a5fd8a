"""What becomes of runs when servers come, go, and share a library."""

import re
import signal
import time

import psutil
import pytest
from playwright.sync_api import expect

from benchmarks.app import served, visitor
from tests.browser.small import ENDLESS


def workers_of(folder):
    """Worker processes of the servers that keep their runs in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if "forge1sim.runs.worker" in process.info["cmdline"] and process.environ().get("FORGE1SIM_RUNS") == str(folder):
                found.append(process)
        except (psutil.Error, TypeError):
            continue
    return found


def start_endless(page, address):
    page.goto(f"{address}/scenario")
    page.get_by_text("It holds together").wait_for()
    page.locator("input[type=file]").set_input_files({"name": "endless.yaml", "mimeType": "text/plain", "buffer": ENDLESS.encode()})
    page.get_by_text("in 8,760 h").wait_for()
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.get_by_text(re.compile("simulated up to")).wait_for()
    return page.url.split("/", 3)[3]


def test_two_servers_share_a_library_and_a_stopped_one_leaves_nothing_behind(browser, tmp_path):
    with served(tmp_path) as first:
        page = visitor(browser)
        run = start_endless(page, first)
        assert workers_of(tmp_path)
        with served(tmp_path) as second:
            other = page.context.new_page()
            other.goto(f"{second}/{run}")
            expect(other.get_by_text(re.compile("simulated up to"))).to_be_visible()
            expect(other.get_by_text("Another server works on it; cancel it there.")).to_be_visible()
    until_s = time.monotonic() + 10
    while workers_of(tmp_path):
        assert time.monotonic() < until_s, "a worker outlived its server"
        time.sleep(0.1)
    with served(tmp_path) as third:
        page.goto(f"{third}/{run}")
        expect(page.get_by_text(re.compile("stopped before the end"))).to_be_visible()
        page.get_by_role("button", name="Start it again").click()
        expect(page.get_by_text(re.compile("simulated up to"))).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("It was cancelled.")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_a_server_however_it_ends(browser, tmp_path, how):
    with served(tmp_path) as address:
        page = visitor(browser)
        start_endless(page, address)
        server = next(child for child in psutil.Process().children() if address.rpartition(":")[2] in child.cmdline())
        server.send_signal(how)
        until_s = time.monotonic() + 15
        while workers_of(tmp_path):
            assert time.monotonic() < until_s, "a worker outlived its server"
            time.sleep(0.1)
        page.context.close()
