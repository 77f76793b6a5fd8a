"""What is around every page: navigation, the browser's own mark, and errors in one sentence.

A page is a file in `screens` and a line in PAGES.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from forge1sim.errors import Forge1Error
from forge1sim.workbench import live, session
from forge1sim.workbench.show import trouble
from policies.errors import PoliciesError

_log = logging.getLogger(__name__)
# Drawn here: icons by name would be fetched from elsewhere.
_BARS = '<path d="M3 18h7v11H3zM12 10h7v19h-7zM21 3h7v26h-7z"/>'
_ICON = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="#0072b2">{_BARS}</svg>'
_LOGO = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 190 32" fill="#3a8fc4">{_BARS}
<text x="40" y="24" font-family="sans-serif" font-size="22" font-weight="600">Forge1 Sim</text></svg>"""
SCREENS = Path(__file__).parent / "screens"
# What fades, blinks or slides is drawn sixty times a second, and takes the cores that simulate.
# What is renewed every second by itself must not pale each time: nothing there is out of date.
_CALM = f"""<style>*, *::before, *::after {{transition: none !important; animation: none !important}}
.st-key-{session.SO_FAR} [data-stale=true] {{opacity: 1 !important}}</style>"""


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
    Page("plan", "Decide", "Plan", ":material/shopping_cart:"),
    Page("tune", "Decide", "Tune", ":material/auto_awesome:"),
    Page("live", "Watch", "Live", ":material/monitor_heart:"),
    Page("library", "Keep", "Library", ":material/inventory_2:"),
)


def show(looking: live.Looking | None = None) -> None:
    """Draw the page that the address names. `looking` is how the Live page looks at a gateway."""
    if looking is not None:
        live.provide(looking)
    st.set_page_config(page_title="Forge1 Sim", page_icon=_ICON, layout="wide")
    st.logo(_LOGO, size="large", icon_image=_ICON)
    st.html(_CALM)
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
