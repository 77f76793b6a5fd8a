"""What all tests share: where things are, and how Hypothesis searches."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

# The default suite draws the same examples every time; `make verify` looks for new ones.
# No deadline: the first call of a compiled function compiles it.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `realdata` needs the recorded traces."""
    if item.get_closest_marker("realdata") and not SHARED_DATA.is_dir():
        pytest.skip("needs the recorded traces in ../shared/data")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of recorded traces and provider facts; skips the test where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the recorded traces in ../shared/data")
    return SHARED_DATA
