"""Every name that a bundle may use is listed and documented; every field too."""

import re

import pytest

from policies import bundle, schema
from policies.build import RESERVATION_CODES
from policies.layout import CHARGES, DIMENSIONS, WINDOWS
from policies.log import REFUSAL_NAMES
from policies.routing import MODEL_CHOICE_CODES, ROUTING_CODES
from policies.scaling import SCALING_CODES
from policies.shipped import SHIPPED

NAMES = {
    "routing.policy": set(ROUTING_CODES), "routing.model_choice": set(MODEL_CHOICE_CODES), "scaling.policy": set(SCALING_CODES),
    "reservation.mode": set(RESERVATION_CODES), "reservation.oversubscription": {"priority", "proportional"},
}  # fmt: skip
SECTION = {
    "routing.policy": "## Routing", "routing.model_choice": "## Model choice", "scaling.policy": "## Scaling",
    "reservation.mode": "## Tiers",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(root):
    return lambda name: (root / "docs" / name).read_text(encoding="utf-8")


def rows_of(text):
    """The first cells of all table rows, without backquotes."""
    return {name for line in text.splitlines() if line.startswith("| ") for name in re.findall(r"`([^`]+)`", line.split("|")[1])}


def test_what_is_listed_is_what_is_shipped():
    for field, names in NAMES.items():
        assert {policy.name for policy in SHIPPED if policy.field == field} == names
    assert {policy.field for policy in SHIPPED} == set(NAMES)
    assert all(policy.about for policy in SHIPPED)


@pytest.mark.parametrize("field", SECTION)
def test_every_policy_stands_in_its_table(page, field):
    text = page("policies.md")
    section = text[text.index(SECTION[field]) :]
    assert NAMES[field] <= rows_of(section[: section.index("\n## ", 3)])


def test_every_reservation_mode_stands_in_the_page_of_tiers(page):
    assert NAMES["reservation.mode"] | NAMES["reservation.oversubscription"] <= rows_of(page("tiers.md"))


def test_every_limit_window_and_charge_rule_stands_in_the_page_of_limits(page):
    text = page("limits.md")
    assert set(DIMENSIONS) | set(CHARGES) | (set(WINDOWS) - {"acceleration"}) <= rows_of(text)


def test_every_refusal_stands_in_its_table(page):
    text = page("policies.md")
    section = text[text.index("## Refusals") : text.index("## Retries")]
    assert set(REFUSAL_NAMES.values()) <= rows_of(section)


@pytest.mark.parametrize(
    ("table", "pages"),
    [
        (bundle.Routing, ("policies.md",)), (bundle.Reservation, ("policies.md", "tiers.md")), (bundle.Queueing, ("tiers.md",)),
        (bundle.Retry, ("policies.md",)), (bundle.Cooldown, ("policies.md",)), (bundle.Scaling, ("policies.md",)),
        (schema.Tier, ("tiers.md",)), (schema.Limit, ("limits.md",)), (bundle.PolicyBundle, ("policies.md", "tiers.md")),
    ],
)  # fmt: skip
def test_every_field_is_documented(page, table, pages):
    text = " ".join(page(name) for name in pages)
    left = set(table.model_fields) - {"name", "schema_version"}
    missing = {field for field in left if not re.search(rf"\b{field}\b", text)}
    assert not missing
