"""The way of somebody who has results: read them, take them away, compare them, look into a request, share links."""

import io
import json
import re
import zipfile
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.app import visitor

TIGHT = """\
name: tight
horizon_s: 20min
models: [gpt-5.4-mini]
accounts: [{name: alpha, provider: openai, usd_per_month: 50, limits: [{dimension: rpm, limit: 60, window: fixed}]}]
tenants:
  - {name: gold, count: 2, tier: enterprise, contract_usd_per_month: 900, demand: {requests_per_s: 0.5}}
  - {name: iron, count: 30, tier: standard, demand: {requests_per_s: 1, deadline_s: {kind: deterministic, mean: 20}}}
slos: [{name: all are served, metric: served_ratio, at_least: 0.9}]
"""
ROOMY = TIGHT.replace("limit: 60", "limit: 200").replace("name: tight", "name: roomy")


def address_of(page: Page) -> str:
    """Path and query of where a page is."""
    return page.url.split("/", 3)[3]


def simulate(page: Page, address: str, name: str, text: str) -> str:
    """Upload a scenario, run it to its end, and return the run's id."""
    page.goto(f"{address}/scenario")
    page.get_by_text("It holds together").wait_for()
    page.locator("input[type=file]").set_input_files([{"name": f"{name}.yaml", "mimeType": "text/plain", "buffer": text.encode()}])
    page.get_by_text("32 tenants").wait_for()
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.get_by_text(re.compile("promises? (was|were) (kept|missed)")).first.wait_for()
    return parse_qs(urlsplit(page.url).query)["run"][0]


@pytest.fixture(scope="session")
def runs(browser: Browser, address: str) -> tuple[str, str]:
    """Somebody's finished runs: one whose one limit is short, one with more room. Links to them open for everybody."""
    page = visitor(browser)
    ids = simulate(page, address, "tight", TIGHT), simulate(page, address, "roomy", ROOMY)
    page.context.close()
    return ids


def tick_first_row(page: Page) -> None:
    """Tables are drawn on a canvas: the first row's box is below the head."""
    table = page.get_by_test_id("stDataFrame").first
    table.locator("canvas").first.wait_for()
    table.click(position={"x": 22, "y": 52})


def test_results_say_what_was_short_and_a_link_shows_it_to_others(runs, visit):
    page = visit(f"results?run={runs[0]}")
    expect(page.get_by_text("60 requests per minute for all models at alpha").first).to_be_visible()
    page.get_by_text("Money", exact=True).click()
    expect(page.get_by_text("How the cost adds up")).to_be_visible()
    page.wait_for_url(re.compile("view=Money"))
    other = visit(address_of(page))
    expect(other.get_by_text("How the cost adds up")).to_be_visible()
    expect(other.get_by_text(re.compile(r"The run cost \$"))).to_be_visible()


def test_figures_have_names_for_screen_readers(runs, visit):
    page = visit(f"results?run={runs[0]}&view=Load")
    expect(page.get_by_label(re.compile("comes closest to its limit"))).to_be_visible()


def test_what_is_exported_holds_the_run(runs, visit):
    page = visit(f"results?run={runs[0]}&view=Files")
    with page.expect_download() as download:
        page.get_by_role("button", name="Everything (zip)").click()
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert download.value.suggested_filename == "tight-seed1-all.zip"
    assert {"manifest.json", "summary.json", "report.html", "tenants.csv", "tenants.parquet"} <= set(archive.namelist())
    arrived = json.loads(archive.read("summary.json"))["requests"]["arrived"]
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = download.value.path().read_text().splitlines()
    column = lines[0].split(",").index("arrived")
    assert sum(int(line.split(",")[column]) for line in lines[1:]) == arrived
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Report")).click()
    assert b"What was short" in download.value.path().read_bytes()


def test_a_figure_is_taken_away_as_a_picture(runs, visit):
    page = visit(f"results?run={runs[0]}&view=Load")
    plot = page.locator(".js-plotly-plot").first
    plot.hover()
    with page.expect_download() as download:
        plot.locator(".modebar-btn[data-title*=PNG], .modebar-btn[data-title*=png]").click()
    assert re.fullmatch(r"tight-seed1-.+\.png", download.value.suggested_filename)
    with Image.open(download.value.path()) as picture:
        assert min(picture.size) > 200
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 24)) > 10


def test_a_tenant_is_searched_and_opened_by_link(runs, visit):
    page = visit(f"results?run={runs[0]}&view=Tenants")
    expect(page.get_by_text("32 of 32 tenants")).to_be_visible()
    page.get_by_label("Search tenants").fill("gold")
    expect(page.get_by_text("2 of 32 tenants")).to_be_visible()
    tick_first_row(page)
    expect(page.get_by_text(re.compile("gold-1, tier enterprise"))).to_be_visible()
    page = visit(f"tenant?run={runs[0]}&tenant=gold-2")
    expect(page.get_by_text("Beside its tier")).to_be_visible()
    expect(page.get_by_text(re.compile("gold-2, tier enterprise"))).to_be_visible()


def test_two_runs_are_compared_and_replications_give_intervals(runs, visit):
    page = visit(f"compare?runs={runs[0]},{runs[1]}&replications=2")
    expect(page.get_by_text(re.compile("roomy against tight: better: served"))).to_be_visible()
    page.get_by_role("button", name="Run 2 replications of each").click()
    expect(page.get_by_text(re.compile(r"over 2 replications \(95% intervals\)")).first).to_be_visible()
    other = visit(address_of(page))
    expect(other.get_by_text(re.compile("roomy against tight: better: served"))).to_be_visible()


def test_a_request_worth_a_look_shows_its_life(runs, visit):
    page = visit(f"explain?run={runs[0]}")
    expect(page.get_by_text("tick one to see its life")).to_be_visible()
    tick_first_row(page)
    page.wait_for_url(re.compile("request="))
    page = visit(address_of(page))
    expect(page.get_by_role("heading", name=re.compile("Request [0-9]+"))).to_be_visible()
    page = visit(f"explain?run={runs[0]}&request=100")
    expect(page.get_by_role("heading", name="Request 100")).to_be_visible()
    expect(page.get_by_text(re.compile("request 100 of .* arrives"))).to_be_visible()
    expect(page.get_by_text(re.compile("1 candidate,|1 candidate$")).first).to_be_visible()
    expect(page.get_by_text("--explain 100")).to_be_visible()


def test_a_plan_is_found_and_its_link_shows_it_to_others(browser, address, visit):
    page = visitor(browser)
    run = simulate(page, address, "planned", TIGHT.replace("alpha,", "alpha, count: 3,"))
    page.goto(f"{address}/plan?run={run}")
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.get_by_role("heading", name="What to contract")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="purchases.csv").click()
    assert download.value.path().read_text().splitlines()[1].startswith("alpha,openai,,3,2,-1,")
    other = visit(address_of(page))
    expect(other.get_by_role("heading", name="What to contract")).to_be_visible()
    expect(other.get_by_text(re.compile("Proven: no plan of these terms is cheaper"))).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("path", ["results", "compare", "explain", "tenant", "plan"])
def test_whoever_has_no_run_is_told_what_to_do(visit, path):
    expect(visit(path).get_by_text("Simulate a scenario").first).to_be_visible()


@pytest.mark.parametrize("path", ["results?run=nothing", "explain?run=nothing", "compare?runs=nothing,nothing2"])
def test_a_link_to_no_run_is_answered_in_words(visit, path):
    expect(visit(path).get_by_text("there is no run").first).to_be_visible()
