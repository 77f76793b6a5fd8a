"""The Live page without a browser: what is missing is told with the command that starts it, what is there is shown."""

from pathlib import Path

from tests.live_adapter.test_watching import ledger_of, rows
from tests.workbench.test_forms import open_page, texts

__all__ = ["open_page"]


def test_what_is_missing_is_told_with_the_command_that_starts_it(open_page, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("FORGE1SIM_GATEWAY", "http://127.0.0.1:9")
    monkeypatch.setenv("FORGE1SIM_LEDGER", f"sqlite:///{tmp_path}/none.db")
    app = open_page("live")
    assert not app.exception
    assert "does not answer" in texts(app)
    assert "there is no such file" in texts(app).replace("\\", "")
    commands = [block.value for block in app.code]
    assert any("gateway serve" in one for one in commands)
    assert any("gateway ledger" in one for one in commands)


def test_a_ledger_alone_shows_traffic_spend_and_satisfaction(open_page, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("FORGE1SIM_GATEWAY", "http://127.0.0.1:9")
    monkeypatch.setenv("FORGE1SIM_LEDGER", ledger_of(tmp_path / "l.db", rows(300)))
    app = open_page("live")
    assert not app.exception
    assert not app.error
    assert {"Requests per s", "Latency p99", "Not served", "Spent"} <= {metric.label for metric in app.metric}
    assert len(app.get("plotly_chart")) == 3
    assert any("Satisfaction (0-100)" in table.value for table in app.dataframe)
