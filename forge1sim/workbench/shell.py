"""What is around every page: navigation, the browser's own mark, and errors in one sentence.

A page is a file in `screens` and a line in PAGES.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from forge1sim.errors import Forge1Error
from forge1sim.workbench import session
from forge1sim.workbench.show import trouble
from policies.errors import PoliciesError

_log = logging.getLogger(__name__)
SCREENS = Path(__file__).parent / "screens"


@dataclass(frozen=True)
class Page:
    """A page: its file without suffix, which is also its address; its section, title and icon; whether the menu lists it."""

    name: str
    section: str
    title: str
    icon: str
    visible: bool = True


PAGES = (
    Page("home", "", "Home", ":material/home:"),
    Page("scenario", "Try", "Scenario", ":material/edit_note:"),
    Page("run", "Try", "Run", ":material/play_circle:"),
    Page("what_if", "Try", "What if", ":material/tune:"),
    Page("results", "Understand", "Results", ":material/insights:"),
    Page("compare", "Understand", "Compare", ":material/compare_arrows:"),
    Page("explain", "Understand", "Explain", ":material/manage_search:"),
    Page("tenant", "Understand", "Tenant", ":material/person:", visible=False),
    Page("library", "Keep", "Library", ":material/inventory_2:"),
)


def _icon() -> Image.Image:
    """Three bars, drawn here: icons by name would be fetched from elsewhere."""
    icon = np.zeros((32, 32, 4), np.uint8)
    for left, top in ((3, 18), (12, 10), (21, 3)):
        icon[top:29, left : left + 7] = (0, 114, 178, 255)
    return Image.fromarray(icon)


def show() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="Forge1 Sim", page_icon=_icon(), layout="wide")
    session.mark_browser()
    sections: dict[str, list[st.Page]] = {}
    for page in PAGES:
        is_home = page.name == "home"
        drawn = st.Page(
            SCREENS / f"{page.name}.py", title=page.title, icon=page.icon, default=is_home,
            url_path="" if is_home else page.name, visibility="visible" if page.visible else "hidden",
        )  # fmt: skip
        sections.setdefault(page.section, []).append(drawn)
    chosen = st.navigation(sections)
    try:
        chosen.run()
    except (Forge1Error, PoliciesError) as error:
        trouble(error)
    except Exception:  # noqa: BLE001 - whatever it is, people get a sentence and the app lives on
        _log.exception("page %s", chosen.url_path or "home")
        st.error("Something in the workbench went wrong; the server's log has the details. No run is affected.", icon=":material/error:")
