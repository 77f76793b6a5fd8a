"""Pages of the app without a browser, as the owner of finished runs sees them."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.workbench.finished import OWNER

ROOT = Path(__file__).parents[2]
SCREENS = "forge1sim/workbench/screens"


@pytest.fixture
def open_page(finished, monkeypatch):
    """Open a page of the app with an address, as the owner of the runs (or as somebody else)."""
    monkeypatch.setenv("FORGE1SIM_RUNS", str(finished.folder))
    monkeypatch.chdir(ROOT)
    from forge1sim.workbench import session

    for kept in (session.store, session.pool, session.shelf):
        kept.clear()

    def open_(page: str, owner: str = OWNER, **address: str) -> AppTest:
        monkeypatch.setattr(session, "owner", lambda: owner)      # AppTest has no cookies
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
        app.switch_page(f"{SCREENS}/{page}.py")
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        return app

    yield open_
    session.pool().close()
    for kept in (session.store, session.pool, session.shelf):
        kept.clear()
