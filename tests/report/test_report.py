"""The report is one file that asks for nothing, trusts no name, and says what was seen."""

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from forge1sim.errors import RunError
from forge1sim.metrics import Metrics
from forge1sim.metrics.slo import check_slos
from forge1sim.metrics.store import read_table, write_run
from forge1sim.metrics.summary import summarise
from forge1sim.report import write_report
from forge1sim.results.figures import FIGURES
from forge1sim.results.read import read_run
from tests.metrics.make_log import START_US, make_log, make_static, toy_scenario

EVIL = (
    "<script>alert(1)</script>", "</script><script>alert(2)</script>", '"><img src=x onerror=alert(3)>',
    "<a href='javascript:alert(4)'>x</a>", "%{customdata} {{x}} ${y}", "\u202egnp.exe\x07", "=cmd()",
)  # fmt: skip
ASSUMPTION = {
    "subject": "gpt-x", "field": "speed.tokens_per_s", "value": 80.0, "source": EVIL[0], "effective": "2026-11-01",
    "grade": "assumption", "note": "guessed",
}  # fmt: skip


def slo(**fields) -> SimpleNamespace:
    return SimpleNamespace(**{"tier": "all", "at_least": None, "at_most": None} | fields)


def run_folder(folder: Path, static, rows, slos=()) -> Path:
    metrics = Metrics(static)
    metrics.fold(rows)
    metrics.close(max(metrics.now_us, START_US + static.horizon_us))
    summary = summarise(metrics)
    results = [result.as_json() for result in check_slos(summary, slos)]
    result = SimpleNamespace(summary=summary, slos=results, metrics=metrics)
    write_run(folder, toy_scenario(EVIL[1], (ASSUMPTION,)), result, driver="compiled", seed=5)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    static = make_static(tenant_names=EVIL, accounts=6, horizon_s=7200)
    slos = (
        slo(name="served", metric="served_ratio", at_least=0.9999, tier="standard"),
        slo(name=EVIL[2], metric="quality_mean", at_least=0.1),
    )
    rows = make_log(static, requests=30_000, places=1)
    return run_folder(tmp_path_factory.mktemp("report") / "run", static, rows, slos)


@pytest.fixture(scope="module")
def page(folder) -> str:
    text = write_report(folder).read_text(encoding="utf-8")
    library_begins, library_ends = text.index("<script>/**"), text.rindex("<script>")
    return text[:library_begins] + text[library_ends:]  # our own part: all but plotly.js


def all_figures(folder: Path):
    run = read_run(folder)
    return {one.name: one.draw(run) for one in FIGURES}


def test_the_page_asks_the_network_for_nothing(page):
    assert not re.findall(r"(?:src|href|action)\s*=\s*[\"']?\s*(?:https?:)?//", page)
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_the_library_is_there_once(folder):
    text = write_report(folder).read_text(encoding="utf-8")
    assert text.count("<script>/**") == 1
    assert text.count("plotly.js v") == 1


def test_no_name_becomes_markup(page):
    for name in EVIL[:4]:
        assert name not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(2)" in page
    assert "\x07" not in page
    assert "\u202e" not in page
    assert page.count("<script") == page.count("</script>")
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S):
        assert "<" not in data


def test_names_in_figures_are_escaped_for_plotly(folder):
    bars = all_figures(folder)["cost"][0].to_json()
    assert "<script" not in bars
    assert "<a href" not in bars
    assert "&lt;script&gt;" in bars or "\\u0026lt;script" in bars


def test_verdicts_are_words(page):
    assert "1 of 2 promises were missed: " in page
    assert '<span class="fail">FAIL</span>' in page
    assert '<span class="pass">PASS</span>' in page
    assert "0 of 1 SLOs" in page


def test_origin_and_assumptions_are_told(page):
    assert "forge1sim run toy.yaml --driver compiled --seed 5" in page
    assert "speed.tokens_per_s" in page
    assert "equal to the microsecond" in page
    assert "<details>" in page


def test_every_figure_has_a_sentence_and_is_small(folder):
    for name, (made, sentence) in all_figures(folder).items():
        assert sentence.endswith("."), name
        assert len(made.to_json()) < 200_000, name
        assert not any(trace.type == "scattergl" for trace in made.data), name


@pytest.mark.parametrize("requests", [0, 1])
def test_a_run_of_next_to_nothing_has_a_report(tmp_path, requests):
    static = make_static(tenants=3)
    rows = make_log(static, requests=max(1, requests))[: 400 * requests]
    folder = run_folder(tmp_path / "run", static, rows)
    assert write_report(folder).stat().st_size > 1_000_000
    assert all(sentence for _, sentence in all_figures(folder).values())


def test_figures_of_a_large_platform_stay_small(tmp_path):
    static = make_static(tenants=3000, accounts=60, deployments_per_account=4, horizon_s=86_400)
    folder = run_folder(tmp_path / "run", static, make_log(static, requests=20_000, places=1))
    figures = all_figures(folder)
    for name, (made, _) in figures.items():
        assert len(made.to_json()) < 200_000, name
    sankey = figures["answers_flow"][0].data[0]
    assert len(sankey.node.label) <= 25
    assert any("others" in name for name in sankey.node.label)


def test_the_sankey_keeps_every_answer(folder):
    sankey = all_figures(folder)["answers_flow"][0].data[0]
    served = int(read_table(folder, "tiers")["served"].sum())
    tiers = 3
    first = sum(value for source, value in zip(sankey.link.source, sankey.link.value, strict=True) if source < tiers)
    assert first == served
    assert sum(sankey.link.value) == 2 * served


def test_load_is_drawn_with_the_limit_of_active_accounts(folder):
    made, sentence = all_figures(folder)["load"]
    limits = [trace for trace in made.data if "limit" in trace.name]
    assert limits
    assert all(np.isfinite(trace.y).all() for trace in limits)
    assert "comes closest to its limit" in sentence


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(RunError, match=r"manifest\.json"):
        write_report(tmp_path)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium to open the report in")
def test_a_browser_draws_every_figure(folder, tmp_path):
    path = write_report(folder)
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    drawn = re.findall(r'<div class="figure[^"]*js-plotly-plot"', dom)
    assert len(drawn) == dom.count('data-figure="figure-') == len(FIGURES)
    assert 'onerror="' not in dom
    assert "javascript:" not in re.sub(r"&lt;a href.*?&gt;", "", re.sub(r"<script.*?</script>", "", dom, flags=re.S))
