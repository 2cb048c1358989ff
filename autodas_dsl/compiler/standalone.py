"""A formula as Python that needs torch and nothing of this package: a value a line, in plain order.

The lines are what the interpreter does; the functions above them are those of the kernels that the
lines call, copied from their source with what they call in turn.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType

from autodas_dsl.compiler import kernels
from autodas_dsl.compiler.emit import aligned_index, source_kind, text_of
from autodas_dsl.compiler.ir import LIST_OPERATORS, Node, hides, removes_level, topological
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy, format_formula

_KERNEL = re.compile(r"\bkernels\.(\w+)")
_PACKAGE = "autodas_dsl."
_ALONE = {"backend_of": "def backend_of(x: Tensor) -> Backend:\n    return Backend()"}
"""What is simpler where nothing but torch need compute."""
_CHECKED = '''\
def checked(value):
    """The value of a formula or of a part; a score of which a part is not finite is invalid."""
    for part in value if isinstance(value, list) else [value]:
        if not torch.isfinite(part).all():
            raise ValueError("the score is invalid: a value is not finite")
    return value
'''


def standalone(proxy: Proxy) -> str:
    """The source of a module with a function ``score(statistics)``.

    Raises
    ------
    InputError
        E668 when the score depends on other networks, or on code of the user's.
    """
    root = to_ir(proxy)
    lines = list(_lines(root))
    body = "\n".join(lines)
    if "user[" in body:
        raise _refused(proxy, "uses an operator of your own")
    if any(n.op in OPERATORS and OPERATORS[n.op].sees_population for n in topological([root])):
        raise _refused(proxy, "compares a network with others")
    copied = _Copied()
    for name in dict.fromkeys(_KERNEL.findall(body)):
        copied.take(name, kernels)
    copied.close()
    imports = sorted({"import torch", *copied.imports, *["import math"] * ("math." in body)})
    statistics = sorted({str(n.statistic) for n in topological([root]) if n.op == "stat"})
    head = ['    """' + format_formula(proxy).replace("\n", "\n    "), "",
            "    By their names the statistics of a network:", "",
            *(f"    {name}: {_described(name, root)}" for name in statistics), '    """']  # fmt: skip
    function = "\n".join(["def score(statistics):", *head, _KERNEL.sub(r"\1", body)])
    parts = ["\n".join(["from __future__ import annotations", "", *imports]), *copied.parts(),
             _CHECKED.rstrip(), function]  # fmt: skip
    return "\n\n\n".join(parts) + "\n"


def _refused(proxy: Proxy, why: str) -> InputError:
    return InputError("E668", f"`{proxy.name}` {why}: no Python stands alone for it",
                      "autodas-dsl compile prints what runs here")  # fmt: skip


def _described(name: str, root: Node) -> str:
    node = next(n for n in topological([root]) if n.op == "stat" and str(n.statistic) == name)
    listed = "a list, " if node.kind.layers and node.kind.axes else ""
    return f"{listed}{node.kind.describe()}. {INPUTS[node.statistic.base].doc}"


# --- the lines ------------------------------------------------------------------------------------


def _lines(root: Node) -> Iterator[str]:
    names: dict[Node, str] = {}
    for node in topological([root]):
        if node.op == "number":
            names[node] = f"torch.tensor({node.value!r}, dtype=torch.float64)"
            continue
        text = _value(node, [names[arg] for arg in node.args])
        names[node] = f"v{len(names)}"
        yield f"    {names[node]} = {text}"
    yield f"    return float(checked({names[root]}))"


def _value(node: Node, args: list[str]) -> str:
    if node.op == "stat":
        held = f'statistics["{node.statistic}"]'
        return held if node.kind.axes else f"torch.as_tensor({held}, dtype=torch.float64)"
    if hides(node):
        args = [f"checked({arg})" for arg in args]
    if node.op in LIST_OPERATORS and not node.args[0].kind.axes:
        return {"first": "{0}[0]", "last": "{0}[-1]"}.get(node.op, "{0}.sum()").format(*args)
    if node.op in LIST_OPERATORS:
        return f"kernels.{node.op}({args[0]})"
    listed = [arg.kind.layers and any(own.kind.axes for own in node.args) for arg in node.args]
    if not any(listed):
        return _result(node, _applied(node, args))
    units = [letter if many else arg for letter, many, arg in zip("ab", listed, args, strict=False)]
    letters = ", ".join(u for u, many in zip(units, listed, strict=True) if many)
    lists = [arg for arg, many in zip(args, listed, strict=True) if many]
    over = f"zip({', '.join(lists)}, strict=True)" if len(lists) > 1 else lists[0]
    each = f"[{_applied(node, units)} for {letters} in {over}]"
    return each if node.kind.axes else _result(node, f"torch.stack({each})")


def _result(node: Node, text: str) -> str:
    return f"checked({text}).double()" if removes_level(node) else text


def _applied(node: Node, args: Sequence[str]) -> str:
    """An operator over one layer, its arguments spread over each other's axes."""
    entry = OPERATORS.get(node.op)
    spread = list(args)
    if entry and len(args) == 2 and not entry.is_distance and entry.signature in (
        "x, y -> x", "x, y -> dot",
    ):  # fmt: skip
        wide = source_kind(node)
        spread = [
            f"{arg}{aligned_index(own.kind, wide)}" if own.kind.axes else arg
            for arg, own in zip(args, node.args, strict=True)
        ]
    return text_of(node, spread)


# --- the functions above them ---------------------------------------------------------------------


class _Copied:
    """Definitions of modules of this package, each after those that it needs."""

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self._texts: dict[str, str] = {}
        self._opened: set[str] = set()
        self._classes: dict[str, tuple[ast.ClassDef, ModuleType]] = {}

    def parts(self) -> list[str]:
        return list(self._texts.values())

    def close(self) -> None:
        """Copy the methods that what was copied calls, and what those need in turn."""
        before = None
        while before != self._texts:
            before = dict(self._texts)
            called = {
                node.attr
                for text in before.values()
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Attribute)
            }
            for name, (node, module) in list(self._classes.items()):
                kept = [m for m in node.body if getattr(m, "name", None) in called]
                for method in kept:
                    self._needs(method, module)
                parts = (_source(part, _read(module)[1]) for part in kept)
                self._texts[name] = "\n\n".join([f"class {name}:", *parts])

    def take(self, name: str, module: ModuleType) -> None:
        """Copy what a name of a module means."""
        if name in self._opened:
            return
        tree, text = _read(module)
        for node in tree.body:
            found = _imported(node, name)
            if found is not None and found.startswith(_PACKAGE):
                self.take(name, importlib.import_module(found))
                return
            if found is not None:
                self.imports.add(found)
                return
            if name in _defined(node):
                self._opened.add(name)
                if name in _ALONE:
                    text = _ALONE[name]
                    (node,) = ast.parse(text).body
                if isinstance(node, ast.ClassDef):
                    self._classes[name] = (node, module)
                    self._texts[name] = f"class {name}: ..."
                else:
                    self._needs(node, module)
                    self._texts[name] = _source(node, text)
                return

    def _needs(self, node: ast.AST, module: ModuleType) -> None:
        for used in ast.walk(node):
            if isinstance(used, ast.Name):
                self.take(used.id, module)


@cache
def _read(module: ModuleType) -> tuple[ast.Module, str]:
    text = inspect.getsource(module)
    return ast.parse(text), text


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _imported(node: ast.stmt, name: str) -> str | None:
    """The line that imports a name, or the module of this package that has it."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        for one in node.names:
            if (one.asname or one.name) == name:
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith(_PACKAGE):
                    return node.module
                alone = ast.Import([one]) if isinstance(node, ast.Import) else (
                    ast.ImportFrom(node.module, [one], node.level)
                )  # fmt: skip
                return ast.unparse(alone)
    return None


def _source(node: ast.stmt, text: str) -> str:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return "\n".join(text.split("\n")[first - 1 : node.end_lineno])
