"""A user's policy is taken or refused, with the line that breaks the contract."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from policies.compile import JIT_DISABLED
from policies.errors import PolicyError
from policies.registry import CHECKS, examine_policy, load_policy
from policies.samples import questions

HEAD = "def choose(request, candidates, deployments, tenant, params, memory, now_us):\n"
END = "    return candidates[0]\n"
BROKEN = {
    "another signature": ("signature", 1, "takes (request, candidates)", "def choose(request, candidates):\n" + END),
    "a default": ("signature", 1, "must take exactly", HEAD.replace("now_us", "now_us=0") + END),
    "keyword arguments": ("signature", 1, "must take exactly", HEAD.replace("now_us", "now_us, **more") + END),
    "the clock": ("imports", 1, "imports time", "import time\n" + HEAD + END),
    "chance": ("imports", 3, "np.random", "import numpy as np\n" + HEAD + "    return candidates[np.random.randint(candidates.size)]\n"),
    "chance by import": ("imports", 1, "numpy.random", "from numpy import random\n" + HEAD + END),
    "a neighbour": ("imports", 1, "imports .other", "from .other import best\n" + HEAD + END),
    "the system through us": ("imports", 1, "policies.compile.os", "from policies.compile import os\n" + HEAD + END),
    "a file": ("imports", 2, "calls open", HEAD + "    open('x')\n" + END),
    "exec": ("imports", 2, "calls exec", HEAD + "    exec('x = 1')\n" + END),
    "import by call": ("imports", 2, "calls __import__", HEAD + "    __import__('os')\n" + END),
    "global": ("state", 3, "`memory`", "LAST = 0\n" + HEAD + "    global LAST\n    LAST = 1\n" + END),
    "a table of the module": (
        "state", 4, "writes to SEEN[0]", "import numpy as np\nSEEN = np.zeros(3)\n" + HEAD + "    SEEN[0] += 1\n" + END,
    ),
    "a write": ("pure", 2, "`deployments`, field 'weight'", HEAD + "    deployments[0]['weight'] = 1.0\n" + END),
    "a write through a row": (
        "pure", 3, "`deployments`, field 'in_flight'", HEAD + "    first = deployments[0]\n    first['in_flight'] += 1\n" + END,
    ),
    "a write through a loop": ("pure", 3, "`deployments`", HEAD + "    for one in deployments:\n        one['model'] = 0\n" + END),
    "a write that samples never reach": (
        "pure", 3, "`tenant`, field 'tag'", HEAD + "    if params[15] == 12345.0:\n        tenant['tag'] = 1\n" + END,
    ),
    "a write in a helper": (
        "pure", 6, "`deployments`, field 'failures'",
        "from policies.compile import compiled\n@compiled\ndef spoil(row):\n    x = 1\n    x += 1\n    row['failures'] += 1\n    return x\n"
        + HEAD + "    spoil(deployments[candidates[0]])\n" + END,
    ),
    "no row": ("answers", 1, "returned", HEAD + "    return deployments.size\n"),
    "a share": ("answers", 1, "float", HEAD + "    return 0.5\n"),
    "out of range": ("answers", 2, "IndexError", HEAD + "    return candidates[candidates.size]\n"),
    "no end": ("answers", 3, "must come to an end", HEAD + "    x = 1\n    while x > 0: x += 1\n" + END),
    "no such file": ("source", 0, "cannot be read", None),
    "another name": ("source", 0, "functions there: other", HEAD.replace("choose", "other") + END),
    "no Python": ("source", 2, "cannot be read as Python", HEAD + "    return (candidates[0]\n"),
    "no text": ("source", 0, "cannot be read as Python", "\0"),
    "fails when imported": ("compiles", 1, "ZeroDivisionError", "X = 1 / 0\n" + HEAD + END),
}  # fmt: skip
NOT_COMPILABLE = {
    "an unknown field": (2, "there is no field 'speed'", HEAD + "    return deployments[0]['speed']\n"),
    "a plain helper": (4, "compiled", "def first(rows):\n    return rows[0]\n" + HEAD + "    return first(candidates)\n"),
    "an unknown name": (2, "candidate", HEAD + "    return candidate[0]\n"),
    "nothing": (2, "returns none", HEAD + "    return None\n"),
    "a with": (3, "", "import numpy as np\n" + HEAD + "    with np.errstate(all='ignore'):\n        return candidates[0]\n"),
    "an attribute": (1, "free_ratio", HEAD + "    return candidates[0] if deployments[0].free_ration > 0 else -1\n"),
}  # fmt: skip


def _written(folder: Path, text: str | None) -> Path:
    path = folder / "mine.py"
    if text is not None:
        path.write_text(text)
    return path


@pytest.mark.parametrize("case", BROKEN)
def test_a_breach_names_check_file_line_function_and_rule(tmp_path, case):
    check, line, words, text = BROKEN[case]
    path = _written(tmp_path, text)
    result = {one.name: one for one in examine_policy(path, "choose").checks}
    assert result[check].passed is False
    place = f"mine.py:{line}: choose " if line else "mine.py: choose "
    assert result[check].message.startswith(place)
    assert words in result[check].message
    with pytest.raises(PolicyError) as refused:
        load_policy(path, "choose", "routing")
    assert str(refused.value) == result[check].message
    assert "\n" not in str(refused.value)


SCALING = "def choose(pool, params, memory, now_us):\n"
TIER = "def choose(request, limit, tiers, params, now_us):\n"
BROKEN_BY_KIND = {
    "two accounts at once": ("answers", "scaling", 1, "returned 2; must return 1 (add an account), -1", SCALING + "    return 2\n"),
    "an answer gone wrong by what is remembered": (
        "answers", "scaling", 1, "returned 2", SCALING + "    memory[0] += 1.0\n    return min(int(memory[0]), 2)\n",
    ),
    "a pool written to": ("pure", "scaling", 2, "`pool`, field 'accounts'; only", SCALING + "    pool['accounts'] = 1\n    return 0\n"),
    "a share of a yes": ("answers", "tier", 1, "returned 0.5 (float); must return 1", TIER + "    return 0.5\n"),
    "neither yes nor no": ("answers", "tier", 1, "returned 2; must return 1", TIER + "    return 2\n"),
    "a tier written to": ("pure", "tier", 2, "`tiers`, field 'left'; nothing", TIER + "    tiers[0]['left'] = 1\n    return 1\n"),
    "a tier policy that remembers": (
        "state", "tier", 4, "a tier policy remembers nothing",
        "import numpy as np\nSEEN = np.zeros(1)\n" + TIER + "    SEEN[0] += 1\n    return 1\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_BY_KIND)
def test_each_kind_is_held_to_its_own_contract(tmp_path, case):
    check, kind, line, words, text = BROKEN_BY_KIND[case]
    examination = examine_policy(_written(tmp_path, text), "choose")
    assert examination.kind == kind
    broken = [one for one in examination.checks if one.passed is False]
    assert [one.name for one in broken] == [check]
    assert broken[0].message.startswith(f"mine.py:{line}: choose ")
    assert words in broken[0].message


@pytest.mark.parametrize("answer", ["True", "1", "limit['units'] <= limit['free']", "int(limit['units'] > 3)"])
def test_a_tier_policy_answers_by_a_truth_or_a_number(tmp_path, answer):
    policy = load_policy(_written(tmp_path, TIER + f"    return {answer}\n"), "choose", "tier")
    assert {int(policy(*question.arguments)) for question in questions("tier")} <= {0, 1}


@pytest.mark.skipif(JIT_DISABLED, reason="what does not compile cannot be told with NUMBA_DISABLE_JIT=1")
@pytest.mark.parametrize("case", NOT_COMPILABLE)
def test_what_does_not_compile_is_told_in_a_line(tmp_path, case):
    line, words, text = NOT_COMPILABLE[case]
    with pytest.raises(PolicyError, match=rf"^mine.py:{line}: choose does not compile: ") as refused:
        load_policy(_written(tmp_path, text), "choose", "routing")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_good_policy_answers_and_holds_every_check(tmp_path):
    helper = "from policies.compile import inlined\n@inlined\ndef first(rows):\n    return rows[0]\n"
    text = helper + HEAD + "    return first(candidates)\n"
    path = _written(tmp_path, text)
    examination = examine_policy(path, "choose")
    assert [check.name for check in examination.checks] == list(CHECKS)
    assert not any(check.passed is False for check in examination.checks)
    if JIT_DISABLED:
        return          # uncompiled, the same text runs; whether it compiles is not tried
    assert all(check.passed for check in examination.checks)
    policy = load_policy(path, "choose", "routing")
    assert all(policy(*question.arguments) == question.candidates[0] for question in questions("routing"))


def test_a_round_robin_of_ones_own_may_remember(tmp_path):
    text = HEAD + "    turn = int(memory[5])\n    memory[5] = turn + 1\n    return candidates[turn % candidates.size]\n"
    policy = load_policy(_written(tmp_path, text), "choose", "routing")
    question = next(s for s in questions("routing") if s.candidates.size > 3)
    assert [policy(*question.arguments) for _ in range(3)] == question.candidates[:3].tolist()


@pytest.mark.skipif(JIT_DISABLED, reason="compares compiled with plain")
def test_a_policy_that_does_other_things_compiled_is_refused(tmp_path):
    # NumPy sums in pairs, compiled code one by one: the last digit differs.
    text = "import numpy as np\n" + HEAD + "    memory[5] = np.sum(deployments['free_ratio'])\n" + END
    with pytest.raises(PolicyError, match=r"leaves memory\[5\] at .* as plain Python and .* compiled"):
        load_policy(_written(tmp_path, text), "choose", "routing")


@pytest.mark.skipif(JIT_DISABLED, reason="compares compiled with plain")
def test_a_policy_that_answers_differently_compiled_is_refused(tmp_path):
    # A Python number grows without end, a compiled one has 64 bits.
    text = HEAD + "    return candidates[(now_us * 1_000_000) % candidates.size]\n"
    with pytest.raises(PolicyError, match=r"answers \d+ as plain Python and \d+ compiled"):
        load_policy(_written(tmp_path, text), "choose", "routing")


def test_two_files_of_one_name_do_not_meet(tmp_path):
    answers = []
    for number, row in (("a", "0"), ("b", "candidates.size - 1")):
        (tmp_path / number).mkdir()
        policy = load_policy(_written(tmp_path / number, HEAD + f"    return candidates[{row}]\n"), "choose", "routing")
        question = next(s for s in questions("routing") if s.candidates.size > 1)
        answers.append(policy(*question.arguments))
    assert answers == [question.candidates[0], question.candidates[-1]]


ASK = """
import sys
from pathlib import Path
from policies.registry import load_policy
from policies.samples import routing_question
question = routing_question(5, 13)
policy = load_policy(Path(sys.argv[1]), "choose", "routing")
kept = sum(policy.stats.cache_hits.values()) if hasattr(policy, "stats") else -1
print(question.candidates.tolist().index(policy(*question.arguments)), kept)
"""


def _ask_in_new_process(path: Path, cache: Path, tree: Path, **more: str) -> list[str]:
    environment = {**os.environ, "FORGE1SIM_CACHE": str(cache), "PYTHONPATH": str(tree), **more}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(path)], env=environment, cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_without_compiler_the_same_policies_are_taken_and_refused(tmp_path, root):
    path = _written(tmp_path, HEAD + "    return candidates[min(2, candidates.size - 1)]\n")
    answer, _ = _ask_in_new_process(path, tmp_path / "cache", root, NUMBA_DISABLE_JIT="1")
    assert answer == "2"
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is kept uncompiled")
def test_code_is_kept_until_the_file_changes(tmp_path, root):
    path = _written(tmp_path, HEAD + END)
    assert _ask_in_new_process(path, tmp_path / "cache", root) == ["0", "0"]
    assert _ask_in_new_process(path, tmp_path / "cache", root) == ["0", "1"]
    path.write_text(HEAD + "    return candidates[min(1, candidates.size - 1)]\n")
    assert _ask_in_new_process(path, tmp_path / "cache", root) == ["1", "0"]


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is kept uncompiled")
def test_an_edited_helper_in_another_module_shows_in_a_new_process(tmp_path, root):
    """Numba alone would answer from its cache: it looks at the file of the function, not at those it inlines."""
    tree = tmp_path / "tree"
    (tree / "policies").mkdir(parents=True)
    for source in (root / "policies").glob("*.py"):
        (tree / "policies" / source.name).write_bytes(source.read_bytes())
    helper = tree / "policies" / "helper.py"
    helper.write_text(textwrap.dedent("""\
        from policies.compile import inlined
        @inlined
        def place(size):
            return 0
        """))
    path = _written(tmp_path, "from policies.helper import place\n" + HEAD + "    return candidates[place(candidates.size)]\n")
    cache = tmp_path / "cache"
    assert _ask_in_new_process(path, cache, tree) == ["0", "0"]
    assert _ask_in_new_process(path, cache, tree) == ["0", "1"]
    helper.write_text(helper.read_text().replace("return 0", "return min(2, size - 1)"))
    assert _ask_in_new_process(path, cache, tree) == ["2", "0"]
