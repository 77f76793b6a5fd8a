"""Every field and kind of a workload is explained in docs/workloads.md, and its example is valid."""

import re
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from forge1sim.workload import spec
from forge1sim.workload.spec import Demand, Source, WorkloadSpec

MODELS = [each for each in vars(spec).values() if isinstance(each, type) and issubclass(each, BaseModel)
          and each.__module__ == spec.__name__]  # fmt: skip


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "workloads.md").read_text()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_fields_are_explained(page, model):
    names = {name for name in model.model_fields if f"`{name}" not in page and f"{name}:" not in page}
    # Fixed by the formats of the traces; not worth a line each.
    assert names <= {"block_tokens", "values", "weights"}


def test_kinds_are_explained(page):
    for source in get_args(get_args(Source)[0]):
        (kind,) = get_args(source.model_fields["kind"].annotation)
        assert f"`{kind}`" in page or f"kind: {kind}" in page


def test_the_example_is_valid(page):
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.DOTALL).group(1))
    Demand.model_validate(example["tenants"][0]["demand"])
    WorkloadSpec.model_validate(example["workload"])
