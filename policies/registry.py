"""A user's policy: from a file that the operator allows to a function that the gateway calls.

`load_policy` reads the file, checks the function against the whole contract of its kind
(`policies.contracts`, `policies.source_rules`, `policies.conformance`) and compiles it. The compiled code is kept under the hash of
the file's text: an edited file is compiled anew, an unchanged one is not.
"""

import ast
import hashlib
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numba
from numba.core.errors import NumbaError, NumbaWarning

from policies import compile as compiling
from policies import conformance, source_rules
from policies.conformance import Broken, Policy
from policies.contracts import CONTRACTS, Contract, kind_by_arguments
from policies.errors import PolicyError
from policies.plain import plain
from policies.plug import SIGNATURES

MOST_BYTES = 1024 * 1024
CHECKS = (
    "source", source_rules.SIGNATURE, source_rules.IMPORTS, source_rules.STATE, "compiles", "answers", source_rules.PURE,
    "deterministic", "same_compiled",
)  # fmt: skip
_NEED_COMPILER = ("compiles", "same_compiled")


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the contract: held, broken (with what was found), or not reached (None)."""

    name: str
    rule: str
    passed: bool | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """All checks of one policy, and the compiled function if it holds them all."""

    kind: str
    checks: tuple[Check, ...]
    policy: Policy | None


class _Refused(Exception):  # noqa: N818
    def __init__(self, check: str, line: int, what: str) -> None:
        super().__init__(what)
        self.check, self.line = check, line


def rules_of(contract: Contract) -> dict[str, str]:
    """What each of `CHECKS` means for this kind of policy."""
    rules = (
        "the file can be read, and has the function",
        f"it takes ({', '.join(contract.arguments)})",
        f"it imports {', '.join(source_rules.ALLOWED_MODULES)} only: no clock, I/O or chance",
        "it keeps nothing outside its arguments",
        "it compiles for the gateway's tables",
        contract.rule,
        contract.may_write,
        "it answers the same question the same way",
        "plain Python and compiled code answer alike",
    )
    return dict(zip(CHECKS, rules, strict=True))


def load_policy(path: Path, function: str, kind: str) -> Policy:
    """The policy `function` of this kind in the file `path`, checked and compiled; plain with NUMBA_DISABLE_JIT=1.

    Raises:
        PolicyError: names the file, its line, the function, what is wrong and what would be right.
    """
    examination = examine_policy(path, function, kind)
    if examination.policy is None:
        raise PolicyError(next(check.message for check in examination.checks if check.passed is False))
    return examination.policy


def examine_policy(path: Path, function: str, kind: str | None = None) -> Examination:
    """Check a policy against every rule of its contract, in order, up to the first that is broken.

    Where no kind is given, the names of its arguments tell.
    """
    defined = _definition(path, function)
    kind = kind or kind_by_arguments(source_rules.arguments_of(defined) if defined else ())
    contract = CONTRACTS[kind]
    try:
        policy = _examined(path, function, contract)
    except _Refused as refused:
        line = refused.line or (defined.lineno if defined else 0)
        place = f"{path.name}:{line}" if line else path.name
        return Examination(kind, _results(contract, refused.check, f"{place}: {function} {refused}"), None)
    return Examination(kind, _results(contract, "", ""), policy)


def _definition(path: Path, name: str) -> ast.FunctionDef | None:
    try:
        _, tree = _parsed(path)
    except _Refused:
        return None
    return source_rules.find_function(tree, name)


def _results(contract: Contract, broken: str, message: str) -> tuple[Check, ...]:
    reached = CHECKS.index(broken) if broken else len(CHECKS)
    rules = rules_of(contract)
    return tuple(_result(name, rules[name], place - reached, message) for place, name in enumerate(CHECKS))


def _result(name: str, rule: str, beyond: int, message: str) -> Check:
    """Checks before the broken one hold, those beyond it were not reached."""
    if beyond < 0 and compiling.JIT_DISABLED and name in _NEED_COMPILER:
        return Check(name, rule, None, "not tried: NUMBA_DISABLE_JIT=1 turns compiling off")
    return Check(name, rule, None if beyond > 0 else beyond < 0, "" if beyond else message)


def _examined(path: Path, name: str, contract: Contract) -> Policy:
    source, tree = _parsed(path)
    function = source_rules.find_function(tree, name)
    if function is None:
        there = ", ".join(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
        raise _Refused("source", 0, f"is not defined at the top of the file; functions there: {there or 'none'}")
    found = source_rules.breaches(tree, function, contract)
    for check in (source_rules.SIGNATURE, source_rules.IMPORTS, source_rules.STATE):
        for breach in found:
            if breach.rule == check:
                raise _Refused(check, breach.line, breach.what)
    module = _imported(path, source)
    policy = _compiled(module, name, contract)
    python, file = plain(policy), str(module.__file__)
    _held("answers", conformance.check_answers, contract.kind, python, file)
    for breach in found:
        raise _Refused(breach.rule, breach.line, breach.what)
    _held(source_rules.PURE, conformance.check_pure, contract.kind, python, file)
    _held("deterministic", conformance.check_deterministic, contract.kind, python, file)
    _held("same_compiled", conformance.check_same_compiled, contract.kind, python, policy, file)
    return policy


def _held(name: str, check: Callable[..., None], *subject: Any) -> None:
    try:
        check(*subject)
    except Broken as broken:
        raise _Refused(name, broken.line, str(broken)) from broken


def _parsed(path: Path) -> tuple[bytes, ast.Module]:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise _Refused("source", 0, f"cannot be read: {error.strerror}") from error
    if len(source) > MOST_BYTES:
        raise _Refused("source", 0, f"stands in a file of {len(source):,} bytes; at most {MOST_BYTES:,} are read")
    try:
        return source, ast.parse(source)
    except SyntaxError as error:
        raise _Refused("source", error.lineno or 0, f"cannot be read as Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise _Refused("source", 0, f"cannot be read as Python: {error}") from error


def _imported(path: Path, source: bytes) -> ModuleType:
    """The file as a module of its own, named by the hash of its text."""
    digest = hashlib.sha256(source).hexdigest()[:24]
    module = ModuleType(f"user_policy_{digest}")
    module.__file__ = str(_kept_copy(digest, source) or path.resolve())
    sys.modules[module.__name__] = module
    try:
        code = compile(source, module.__file__, "exec")
        exec(code, module.__dict__)  # noqa: S102  (the operator allowed its folder)
    except Exception as error:
        line = _line_of(error, module.__file__)
        raise _Refused("compiles", line, f"cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _kept_copy(digest: str, source: bytes) -> Path | None:
    """The same text in the cache folder: Numba keeps compiled code of files that stay, and only of files."""
    if compiling.FOLDER is None:
        return None
    copy = compiling.FOLDER / "user_policies" / f"{digest}.py"
    try:
        if not copy.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            half = copy.with_name(f"{digest}.{id(source)}.part")
            half.write_bytes(source)
            half.replace(copy)
    except OSError:
        return None
    return copy


def _compiled(module: ModuleType, name: str, contract: Contract) -> Policy:
    policy: Any = getattr(module, name)
    if compiling.JIT_DISABLED:
        return cast(Policy, policy)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumbaWarning)
            if not hasattr(policy, "py_func"):
                is_kept = str(module.__file__).startswith(str(compiling.FOLDER))
                policy = numba.njit(cache=is_kept, error_model="numpy")(policy)
            policy.compile(SIGNATURES[contract.kind])
    except NumbaError as error:
        what = f"does not compile: {_rule_of(error, contract)}"
        raise _Refused("compiles", _line_of(error, str(module.__file__)), what) from error
    except Exception as error:
        # Numba lets errors of its own insides through, such as KeyError for an unknown attribute of a row.
        what = f"does not compile: {type(error).__name__}: {error}; fields are read as row[\"field\"]"
        raise _Refused("compiles", 0, what) from error
    return cast(Policy, policy)


def _line_of(error: BaseException, file: str) -> int:
    """The line of the user's file that an error is about, or 0."""
    if isinstance(error, NumbaError):
        where = getattr(error, "loc", None)
        if where is not None and where.filename == file:
            return int(where.line)
        named = re.findall(rf'{re.escape(Path(file).name)}(?:", line |[ :]\(?)(\d+)', str(error))
        return int(named[-1]) if named else 0
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


_SAYS_NOTHING = ("Failed in", "During:", "File ", ">>>", "Overload", "There are", "- Of which")
_IN_OTHER_WORDS = (
    (r"Untyped global name '(\w+)': Cannot determine Numba type of <class 'function'>",
     r"\1 is a plain function; decorate what a policy calls with `compiled` of policies.compile"),
    (r"Untyped global name '(\w+)'.*", r"\1 is nothing that compiled code can use; numbers and arrays are"),
    (r"NameError: (.*)", r"\1"),
    (r"No conversion from (.*?) to int64.*", r"it returns \1; must return ANSWER"),
    (r"Field '(\w+)' was not found in record with fields \((.*)\)", r"there is no field '\1'; fields are \2"),
    (r"No implementation of function Function\((.*?)( at 0x\w+)?>\).*", r"\1> does not exist in compiled code for these arguments"),
)  # fmt: skip


def _rule_of(error: NumbaError, contract: Contract) -> str:
    """The line of Numba's message that says something, in plain words where we know them."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    telling = next((line for line in lines if line and not line.startswith(_SAYS_NOTHING)), type(error).__name__)
    for pattern, words in _IN_OTHER_WORDS:
        if re.match(pattern, telling):
            return re.sub(pattern, words.replace("ANSWER", contract.answer), telling)[:600]
    return telling[:600]
