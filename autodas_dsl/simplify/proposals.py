"""What sympy proposes, asked in a process of its own with a limit on its time and its memory.

Run as a module, with the limit in MiB as its argument, it reads one formula from standard input and
writes one proposal per line, ``law<tab>formula``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Expr

_OUT_OF_MEMORY = 3
"""The exit status of the process when it reached its memory limit."""


class SympyStopped(Exception):
    """sympy did not answer within the safety limits."""


def ask_sympy(expr: Expr, seconds: float, megabytes: int) -> list[tuple[str, Expr]]:
    """Rewrites of a formula that sympy proposes; none of them is proven.

    Parameters
    ----------
    expr : Expr
        Without lets.
    seconds : float
        Safety limit: sympy is killed after this.
    megabytes : int
        Safety limit in MiB: how much memory sympy may take for the formula, on Linux. Other systems
        offer no such limit.

    Raises
    ------
    SympyStopped
        When sympy hung, took too much memory or failed: the formula is then left as it is.
    """
    # A fixed hash seed: sympy's answers may depend on the order of sets.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "autodas_dsl.simplify.proposals", str(megabytes)],
            input=format_expression(expr), capture_output=True, text=True, timeout=seconds,
            env=environment, check=False, encoding="utf-8",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SympyStopped(f"sympy did not answer within {seconds:g} s and was stopped") from None
    if done.returncode == _OUT_OF_MEMORY:
        raise SympyStopped(f"sympy reached its memory limit of {megabytes} MiB and was stopped")
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise SympyStopped(f"sympy failed: {last[0]}")
    rows = [line.partition("\t") for line in done.stdout.splitlines()]
    return [(law, parse(formula)) for law, _, formula in rows]


def propose(expr: Expr) -> list[tuple[str, Expr]]:
    """Each rewrite of the fixed list, applied once, translated back where the language can."""
    from sympy import PolynomialError

    from autodas_dsl.printing.sympy_form import to_sympy
    from autodas_dsl.simplify.from_sympy import from_sympy

    raw = to_sympy(expr)
    found: list[tuple[str, Expr]] = []
    for law, rewrite in _rewrites():
        try:
            answer = from_sympy(rewrite(raw))
        except (InputError, PolynomialError, OverflowError):
            continue  # no formula, nothing that this rewrite is for, or a number beyond float64
        if answer != expr and answer not in (known for _, known in found):
            found.append((law, answer))
    return found


def _rewrites() -> list[tuple[str, Callable[..., object]]]:
    """The fixed list: no search, no heuristics that depend on time."""
    import sympy

    def everywhere(change: Callable[..., object]) -> Callable[..., object]:
        return lambda raw: sympy.sympify(raw).doit().replace(lambda part: part.is_Add, change)

    return [
        ("arithmetic", lambda raw: raw.doit()),
        ("common factors", everywhere(sympy.factor_terms)),
        ("collected terms", everywhere(sympy.factor)),
        ("common denominator", everywhere(sympy.together)),
        ("cancelled quotients", everywhere(sympy.cancel)),
        ("collected powers", lambda raw: sympy.powsimp(raw.doit())),
        ("collected logarithms", lambda raw: sympy.logcombine(raw.doit())),
        ("expanded", lambda raw: sympy.expand(raw.doit())),
    ]


def limit_memory(megabytes: int) -> None:
    """Let this process map this much more than it has mapped by now; does nothing outside Linux.

    Elsewhere `resource` is missing (Windows) or its limit is not kept (macOS).
    """
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + megabytes * 2**20
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    known = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([limit, *known]), hard))


def main(megabytes: int) -> None:
    # Imported before the limit is set, so that it counts only what the formula takes.
    import autodas_dsl.simplify.from_sympy  # noqa: F401

    expr = parse(sys.stdin.read())
    limit_memory(megabytes)
    try:
        found = propose(expr)
    except MemoryError:
        sys.exit(_OUT_OF_MEMORY)
    for law, formula in found:
        print(f"{law}\t{format_expression(formula)}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
