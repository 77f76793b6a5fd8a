"""The way of a newcomer and of a regular: scenario, run, what if, library, in a real browser."""

import re
import time
from contextlib import suppress

import psutil
from playwright.sync_api import expect

from tests.browser.small import ENDLESS, SMALL


def simulate(page):
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.wait_for_url(re.compile(r"/run\?run="))


def test_a_newcomer_needs_one_click_for_the_quick_start(visit):
    page = visit()
    page.get_by_role("button", name="Simulate the quick start").click()
    expect(page.get_by_text("All 7 promises were kept.")).to_be_visible()
    expect(page.get_by_text("enterprise: served")).to_be_visible()
    expect(page.get_by_text("forge1sim run scenarios/quickstart.yaml --driver compiled --seed 1")).to_be_visible()


def test_a_broken_file_is_explained_and_the_app_goes_on(upload):
    page = upload(broken__yaml="name: x\nmodels: [gpt-5.4-mini\n")
    expect(page.get_by_text(re.compile(r"scenario\.yaml:\d+: not YAML"))).to_be_visible()
    page.reload()
    page.get_by_text("It holds together").wait_for()
    upload(page, wrong__yaml=SMALL.replace("models", "modles"))
    expect(page.get_by_text("modles is unknown; did you mean models?")).to_be_visible()
    page.reload()
    upload(page, junk__csv="when,what\n1,2\n")
    expect(page.get_by_text("are those of no known trace")).to_be_visible()
    page.reload()
    upload(page, mine__yaml=SMALL)
    expect(page.get_by_text("It holds together: 5 tenants, 1 accounts, 1 models, about 2,400 requests")).to_be_visible()


def test_a_strangers_file_brings_no_code_and_reads_nothing_else(upload):
    page = upload(own__yaml=SMALL + "policies: {routing: {policy: 'evil.py:choose'}}\n")
    expect(page.get_by_text("no policy folder is allowed")).to_be_visible()
    page.reload()
    upload(page, away__yaml=SMALL + "workload: {sources: [{kind: azure, path: ../../etc/passwd}]}\n")
    expect(page.get_by_text("the path leaves the scenario's folder")).to_be_visible()


def test_a_recorded_trace_becomes_a_scenario_and_runs(upload):
    rows = "".join(f"{second},{300},{50}\n" for second in range(120))
    page = upload(my_trace__csv=f"arrive_s,input_tokens,output_tokens\n{rows}")
    expect(page.get_by_text("models, recorded traces in")).to_be_visible()
    simulate(page)
    expect(page.get_by_role("heading", name="my trace")).to_be_visible()
    expect(page.get_by_text(re.compile("promises? (was|were) (kept|missed)"))).to_be_visible()


def test_a_killed_worker_is_told_and_no_earlier_run_is_lost(upload):
    page = upload(mine__yaml=SMALL + "seed: 13\n")
    page.get_by_text("about 2,400 requests").wait_for()
    simulate(page)
    page.get_by_text("The one promise was kept.").wait_for()
    page.get_by_role("link", name="Scenario").click()
    upload(page, endless__yaml=ENDLESS + "seed: 14\n")
    page.get_by_text("in 8,760 h").wait_for()
    simulate(page)
    page.get_by_text(re.compile("simulated up to")).wait_for()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):            # one may have ended meanwhile
            if "forge1sim.runs.worker" in process.cmdline():
                process.kill()
    expect(page.get_by_text("was killed from outside")).to_be_visible()
    page.get_by_role("link", name="Home").click()
    page.get_by_role("link", name="small").first.click()
    expect(page.get_by_text("The one promise was kept.")).to_be_visible()


def test_results_of_a_changed_scenario_are_stale(upload):
    page = upload(mine__yaml=SMALL + "seed: 15\n")
    page.get_by_text("about 2,400 requests").wait_for()
    simulate(page)
    page.get_by_text("The one promise was kept.").wait_for()
    page.get_by_role("link", name="Scenario").click()
    page.get_by_label("Horizon (s, or 1d)").fill("20min")
    page.get_by_label("Horizon (s, or 1d)").press("Enter")
    page.get_by_text("about 4,800 requests").wait_for()
    page.get_by_role("link", name="Run", exact=True).click()
    expect(page.get_by_text("Stale: the scenario was changed after this run.")).to_be_visible()


def test_a_changed_field_is_checked_at_once_and_the_link_leads_back(upload, visit):
    page = upload(mine__yaml=SMALL)
    page.get_by_text("about 2,400 requests").wait_for()
    horizon = page.get_by_label("Horizon (s, or 1d)")
    horizon.fill("20min")
    horizon.press("Enter")
    expect(page.get_by_text("about 4,800 requests")).to_be_visible()
    page.wait_for_url(re.compile("scenario=small%40|scenario=small@"))
    link = page.url
    horizon.fill("ever")
    horizon.press("Enter")
    expect(page.get_by_text("horizon_s is 'ever'")).to_be_visible()
    other = visit(link.split("/", 3)[3])
    expect(other.get_by_text("about 4,800 requests")).to_be_visible()


def test_download_gives_the_scenario(upload):
    page = upload(mine__yaml=SMALL)
    page.get_by_text("about 2,400 requests").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download YAML").click()
    assert download.value.path().read_text() == SMALL
    assert download.value.suggested_filename == "small.yaml"


def faintest(page):
    """The least opacity that anything on the page has within three renewals of the figures."""
    opacities = "Math.min(...[...document.querySelectorAll('[data-testid=stElementContainer]')].map(e => +getComputedStyle(e).opacity))"
    seen = []
    for _ in range(60):
        seen.append(page.evaluate(opacities))
        page.wait_for_timeout(50)
    return min(seen)


def test_a_run_survives_reload_and_other_pages_and_cancel_ends_it(upload, visit):
    page = upload(mine__yaml=ENDLESS)
    page.get_by_text("in 8,760 h").wait_for()
    simulate(page)
    expect(page.get_by_text(re.compile("simulated up to"))).to_be_visible()
    expect(page.get_by_text(re.compile("requests a second arrive"))).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile("simulated up to"))).to_be_visible()
    assert faintest(page) == 1.0
    page.get_by_role("link", name="Library").click()
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
    page.get_by_role("link", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile("simulated up to"))).to_be_visible()
    # Somebody else with the link sees the same.
    other = visit(page.url.split("/", 3)[3])
    expect(other.get_by_text(re.compile("simulated up to"))).to_be_visible()
    began_s = time.monotonic()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("It was cancelled. There are no results.")).to_be_visible()
    assert time.monotonic() - began_s < 5.0
    expect(other.get_by_text("It was cancelled. There are no results.")).to_be_visible()


def test_two_visitors_do_not_see_each_others_runs(upload, visit):
    mine = upload(mine__yaml=SMALL + "seed: 11\n")
    mine.get_by_text("about 2,400 requests").wait_for()
    simulate(mine)
    mine.get_by_text("The one promise was kept.").wait_for()
    mine.get_by_role("link", name="Home").click()
    expect(mine.get_by_text("Your last runs")).to_be_visible()
    theirs = visit()
    theirs.get_by_role("button", name="Simulate the quick start").wait_for()
    expect(theirs.get_by_text("Your last runs")).to_have_count(0)
    theirs.get_by_role("link", name="Library").click()
    expect(theirs.get_by_text("No runs yet.")).to_be_visible()
    mine.reload()       # a new session of the same browser
    expect(mine.get_by_text("Your last runs")).to_be_visible()


def test_a_slider_shows_before_and_after_and_its_link_asks_the_same(upload, visit):
    page = upload(mine__yaml=SMALL + "seed: 12\n")
    page.get_by_text("about 2,400 requests").wait_for()
    simulate(page)
    page.get_by_text("The one promise was kept.").wait_for()
    page.get_by_role("link", name="Ask what if").click()
    page.get_by_text("Nothing is changed yet").wait_for()
    slider = page.get_by_role("slider", name="Demand")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(page.get_by_text("Changed: demand 3x. Simulated")).to_be_visible()
    expect(page.get_by_text("worse").first).to_be_visible()
    other = visit(page.url.split("/", 3)[3])
    expect(other.get_by_text("Changed: demand 3x. Simulated")).to_be_visible()
    page.get_by_role("button", name="Keep this what-if").click()
    expect(page.get_by_text("Kept in the library.")).to_be_visible()


def test_a_link_to_nowhere_is_explained(visit):
    page = visit("run?run=20260101-000000-nothing-0123456789ab")
    expect(page.get_by_text("it may have been deleted")).to_be_visible()
    page = visit("scenario?scenario=nothing")
    expect(page.get_by_text("there is no scenario 'nothing' here")).to_be_visible()


def test_the_keyboard_alone_starts_a_run(visit):
    page = visit()
    button = page.get_by_role("button", name="Simulate the quick start")
    button.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/run\?run="))


def test_a_search_that_is_cancelled_stays_so(upload):
    page = upload(mine__yaml=SMALL + "seed: 21\n")
    page.get_by_text("about 2,400 requests").wait_for()
    simulate(page)
    page.get_by_text("See all results").wait_for()
    page.get_by_role("link", name="Tune").click()
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("It was cancelled")).to_be_visible()
    page.wait_for_timeout(3_000)
    expect(page.get_by_text("It was cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
