"""What the source of a user's policy may say, read without running it.

These rules catch mistakes, with the line on which they stand. They are no prison for hostile
code: only files in folders that the operator allows are ever loaded.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from policies.contracts import CONTRACTS, MEMORY, Contract

ALLOWED_MODULES = ("numpy", "math", "numba", "policies")
_HARMLESS_MODULES = ("__future__",)
_FORBIDDEN_CALLS = frozenset(
    ("open", "exec", "eval", "compile", "__import__", "input", "print", "globals", "locals", "vars", "getattr",
     "setattr", "delattr", "breakpoint", "exit", "quit")
)  # fmt: skip
_FORBIDDEN_WORDS = frozenset(
    ("random", "os", "sys", "io", "time", "datetime", "datetime64", "pathlib", "shutil", "subprocess", "socket",
     "ctypes", "ctypeslib", "objmode", "memmap", "fromfile", "tofile", "save", "savez", "savez_compressed",
     "savetxt", "load", "loadtxt", "genfromtxt")
)  # fmt: skip

SIGNATURE, IMPORTS, STATE, PURE = "signature", "imports", "state", "pure"


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that the source breaks, and on which line."""

    rule: str
    line: int
    what: str


def find_function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """The function of this name at the top of the file, or None."""
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)


def arguments_of(function: ast.FunctionDef) -> tuple[str, ...]:
    """The names of what a function takes by place."""
    return tuple(argument.arg for argument in (*function.args.posonlyargs, *function.args.args))


def breaches(tree: ast.Module, function: ast.FunctionDef, contract: Contract) -> list[Breach]:
    """Every rule broken: signature, imports and names, state outside `memory`, writes to other arguments."""
    found = [*_of_signature(function, contract), *_of_words(tree), *_of_outside_state(tree, contract), *_of_arguments(function, contract)]
    return sorted(found, key=lambda breach: breach.line)


def _of_signature(function: ast.FunctionDef, contract: Contract) -> Iterator[Breach]:
    given, names = function.args, arguments_of(function)
    extra = given.vararg or given.kwarg or given.kwonlyargs or given.defaults
    if names != contract.arguments or extra:
        what = f"takes ({ast.unparse(given)}); must take exactly ({', '.join(contract.arguments)})"
        meant = next((other for other in CONTRACTS.values() if other.arguments == names and other is not contract), None)
        yield Breach(SIGNATURE, function.lineno, what + (f", or be named by `{meant.field}`" if meant else ""))


def _of_words(tree: ast.Module) -> Iterator[Breach]:
    right = f"a policy may import {', '.join(ALLOWED_MODULES)} only, and use no clock, I/O or chance"
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for name in _imported(node):
            parts = name.split(".")
            if parts[0] not in (*ALLOWED_MODULES, *_HARMLESS_MODULES) or _FORBIDDEN_WORDS.intersection(parts):
                yield Breach(IMPORTS, line, f"imports {name}; {right}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FORBIDDEN_CALLS:
            yield Breach(IMPORTS, line, f"calls {node.func.id}; {right}")
        if isinstance(node, ast.Attribute) and (node.attr in _FORBIDDEN_WORDS or node.attr.startswith("__")):
            yield Breach(IMPORTS, line, f"uses {ast.unparse(node)}; {right}")


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        return [f"{base}.{alias.name}" for alias in node.names]
    return []


def _of_outside_state(tree: ast.Module, contract: Contract) -> Iterator[Breach]:
    """Writes to what outlives a call: `global`, or a table that the module holds."""
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        own = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
        own |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in ast.walk(function):
            if isinstance(node, ast.Global | ast.Nonlocal):
                yield Breach(STATE, node.lineno, f"declares {', '.join(node.names)} as outside state; {contract.may_keep}")
            elif _is_write(node) and (root := _root(node)) is not None and root not in own:
                yield Breach(STATE, node.lineno, f"writes to {ast.unparse(node)} outside the function; {contract.may_keep}")


def _of_arguments(function: ast.FunctionDef, contract: Contract) -> Iterator[Breach]:
    """Writes through an argument other than `memory`, or through a row taken out of one."""
    origin = {name: name for name in contract.arguments if name != MEMORY}
    for node in _in_order(function):
        if isinstance(node, ast.Assign | ast.For):
            value = node.value if isinstance(node, ast.Assign) else node.iter
            root = _root(value)
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in (target for target in targets if isinstance(target, ast.Name)):
                origin.pop(target.id, None)
                if root in origin:
                    origin[target.id] = origin[root]
        elif _is_write(node) and (root := _root(node)) in origin:
            field = f", field {key}" if (key := _field(node)) else ""
            yield Breach(PURE, node.lineno, f"writes to `{origin[root]}`{field}; {contract.may_write}")


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _is_write(node: ast.AST) -> TypeGuard[ast.Subscript | ast.Attribute]:
    return isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)


def _root(node: ast.AST) -> str | None:
    """The variable that a chain such as `deployments[row]["weight"]` starts from."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _field(node: ast.AST) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return repr(node.slice.value)
        node = node.value
    return ""
