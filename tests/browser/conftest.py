"""One workbench and one Chromium for all tests here; each visitor is a browser of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import Browser, Page, expect

from benchmarks.app import WAIT_MS, browsing, chromium, served, visitor

expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They take long, and without a Chromium there is nothing to test here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)       # together five minutes
            if chromium() is None:
                item.add_marker(pytest.mark.skip(reason="needs Chromium (apt-get install chromium, or CHROME=path)"))


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("runs")) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody new. What the console complains of fails the test."""
    pages: list[Page] = []
    complaints: list[str] = []

    def open_as_new(path: str = "", **options: bool) -> Page:
        page = visitor(browser, **options)
        # Streamlit looks for its own files below each page first.
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 and "_stcore" not in answer.url else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/{path}")
        pages.append(page)
        return page

    yield open_as_new
    for page in pages:
        page.context.close()
    assert not complaints


@pytest.fixture
def upload(visit: Callable[..., Page]) -> Callable[..., Page]:
    """Somebody new who uploads files on the scenario page: names with texts or bytes."""

    def upload_as_new(page: Page | None = None, **files: str | bytes) -> Page:
        page = page or visit("scenario")
        page.get_by_text("It holds together").wait_for()
        page.locator("input[type=file]").set_input_files(
            [
                {"name": name.replace("__", "."), "mimeType": "text/plain", "buffer": text.encode() if isinstance(text, str) else text}
                for name, text in files.items()
            ]
        )
        return page

    return upload_as_new
