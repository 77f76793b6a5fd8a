"""What is committed works on any machine and carries nobody's data."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

LARGEST_BYTES = 2_000_000
# Written in pieces, so that this file does not match itself.
PLACES = {
    "a folder of one machine": re.compile("(?<![\\w.)}/])/" + "(?:work|root|tmp|home|Users)(?:/|\\b)"),
    "a package registry's host": re.compile("py" + r"pi\.org|python" + r"hosted\.|registry\." + "npm"),
    "an address with a password": re.compile("https?://" + r"[^\s/'\"]+:[^\s/'\"]+@"),
}


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    """Files that git tracks and that are there."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs git and a clone")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
    files = [root / name for name in listing.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_no_file_names_a_place_of_one_machine(tracked, root):
    found = []
    for file in tracked:
        text = file.read_bytes().decode("utf-8", errors="replace")
        for what, pattern in PLACES.items():
            if match := pattern.search(text):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{file.relative_to(root)}:{line}: {what}: {match.group()}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "cd /" + "work/main", "'/" + "tmp/x'", "/" + "root", "=/" + "home/me/x", "https://files.python" + "hosted.org/a",
        "https://me:secret" + "@host/x",
    ],
)  # fmt: skip
def test_places_are_recognised(text):
    assert any(pattern.search(text) for pattern in PLACES.values())


@pytest.mark.parametrize("text", ["docs/work/x.md", "the work/home ratio", "{base}/root", "network/tmpfs", "http://127.0.0.1:8080/x"])
def test_other_paths_are_not(text):
    assert not any(pattern.search(text) for pattern in PLACES.values())


def test_no_file_is_large(tracked, root):
    large = [str(file.relative_to(root)) for file in tracked if file.stat().st_size > LARGEST_BYTES]
    assert not large


@pytest.mark.realdata
def test_no_recorded_trace_is_committed(tracked, shared_data):
    """Traces have terms of their own; they are read where they lie."""
    recorded = {file.read_bytes() for file in shared_data.iterdir() if file.is_file()}
    assert not [file for file in tracked if file.read_bytes() in recorded]


def test_text_files_end_their_last_line(tracked, root):
    for file in tracked:
        content = file.read_bytes()
        if content and b"\0" not in content:
            assert content.endswith(b"\n"), file.relative_to(root)
