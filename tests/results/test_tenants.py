"""The tenant table has every tenant, adds up, can be searched; one tenant is shown beside its tier."""

import numpy as np
import pytest

from forge1sim.errors import RunError
from forge1sim.results.tenants import found, one_tenant, tenant_beside_tier, tenant_table


def test_the_table_adds_up_to_the_summary(scarce):
    table, summary = tenant_table(scarce), scarce.summary
    assert len(table["tenant"]) == summary["tenants"]["count"] == 43
    for name in ("arrived", "served", "rejected", "expired", "cancelled"):
        assert table[name].sum() == summary["requests"][name]
    assert table["cost_usd"].sum() == pytest.approx(summary["cost_usd"])
    assert table["margin_usd"].sum() == pytest.approx(summary["revenue_usd"] - summary["cost_usd"])


def test_search_looks_in_names_and_tiers(scarce):
    table = tenant_table(scarce)
    assert set(found(table, "GOLD")["tier"]) == {"enterprise"}
    assert len(found(table, "", ("standard",))["tenant"]) == 40
    assert len(found(table, "gold", ("standard",))["tenant"]) == 0
    assert all(len(column) == 43 for column in found(table, "").values())


def test_one_tenant_has_its_own_figures_and_its_place(scarce):
    table = tenant_table(scarce)
    row = int(np.argmax(np.where(table["tier"] == "standard", table["served_ratio"], -1)))
    tenant = one_tenant(scarce, str(table["tenant"][row]))
    assert tenant.tier == "standard"
    assert dict(tenant.facts)["requests"] == f"{table['arrived'][row]:,}"
    served = next(line for line in tenant.compared if line.title == "served")
    assert served.own == f"{table['served_ratio'][row]:.2%}"
    assert served.place.startswith("better than 9") or served.place.startswith("better than 8")
    assert sum(count for _, count in tenant.reasons) == table["arrived"][row] - table["served"][row]


def test_the_figure_marks_the_tenant(scarce):
    made, sentence = tenant_beside_tier(scarce, str(tenant_table(scarce)["tenant"][0]))
    assert made.layout.shapes
    assert "of enterprise tenants waited longer" in sentence


def test_an_unknown_tenant_is_named(scarce):
    with pytest.raises(RunError, match="no such tenant"):
        one_tenant(scarce, "nobody")
