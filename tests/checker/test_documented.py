"""Every rule that the checker can name is in docs/checker.md."""

import re


def test_every_rule_is_documented(root):
    sources = [path.read_text() for folder in ("forge1sim/check",) for path in (root / folder).glob("*.py")]
    named = {name for source in sources for name in re.findall(r'(?:notes\.add|\.expect)\(\s*"(\w+)"', source)}
    named |= {"order", "priority", "floor"}
    documented = set(re.findall(r"`(\w+)`", (root / "docs/checker.md").read_text().split("## Rules")[1].split("## What")[0]))
    assert len(named) > 20
    assert named <= documented, named - documented
