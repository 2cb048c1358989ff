"""Cut a DAG into steps: passes over the units of one domain, and joins of layer lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.layout import NET
from autodas_dsl.compiler.templates import LIST_OPERATORS, removes_level


@dataclass(frozen=True)
class Step:
    """Nodes computed together.

    Parameters
    ----------
    name : str
        The name of the emitted function.
    domain : str
        Whose units it runs over.
    form : str
        ``pass`` (block by block), ``join`` (reductions of layer lists, all networks at once) or
        ``gather`` (a layer list of tensors to one tensor, network by network).
    nodes : tuple of Node
        In the order of evaluation.
    stats : tuple of Node
        Statistics with axes that it reads.
    imports : tuple of Node
        Numbers, and for single networks tensors, that other steps computed or that are stored.
    exports : tuple of Node
    """

    name: str
    domain: str
    form: str
    nodes: tuple[Node, ...]
    stats: tuple[Node, ...]
    imports: tuple[Node, ...]
    exports: tuple[Node, ...]

    @property
    def singly(self) -> bool:
        """Runs network by network, because it reads tensors that were gathered from layers."""
        return self.form == "pass" and any(node.kind.axes for node in self.imports)


def domain_of(node: Node) -> str:
    return node.kind.layers or NET


def constants(order: Sequence[Node]) -> set[Node]:
    """Nodes below which there is no statistic."""
    found: set[Node] = set()
    for node in order:
        if node.op != "stat" and all(arg in found for arg in node.args):
            found.add(node)
    return found


_Key = tuple[int, int, str, bool]  # level, rank of the form, domain, network by network


def _form(node: Node) -> str:
    crosses = any(arg.kind.layers for arg in node.args) and not node.kind.layers
    if not crosses:
        return "pass"
    return "gather" if node.op in LIST_OPERATORS and node.args[0].kind.axes else "join"


def plan(roots: Iterable[Node], known: Callable[[Node], bool]) -> list[Step]:
    """The steps that compute `roots`, given which numbers are known already.

    A value moves from one domain to another only between steps, so the level of a node grows by
    one wherever the domain changes on the way up. What reads tensors gathered from layers has
    steps of its own: they run network by network, and how many networks run together may change
    the last bit of a result.
    """
    wanted = list(roots)
    order = _needed(wanted, known)
    fixed = constants(topological(wanted))
    levels: dict[Node, int] = {}
    groups: dict[_Key, list[Node]] = {}
    gathered: set[Node] = set()
    singly: set[Node] = set()
    for node in order:
        if node.op == "stat" or node in fixed or known(node):
            continue
        form = _form(node)
        rank = {"gather": 0, "join": 1, "pass": 2}[form]
        alone = form == "pass" and any(arg in gathered for arg in node.args)
        if alone:
            singly.add(node)
        if node.kind.axes and (form == "gather" or alone):
            gathered.add(node)
        levels[node] = max((_ready(arg, node, levels, singly) for arg in node.args), default=0)
        groups.setdefault((levels[node], rank, domain_of(node), alone), []).append(node)
    return _steps(groups, set(wanted), fixed, known)


def _needed(roots: list[Node], known: Callable[[Node], bool]) -> list[Node]:
    """Nodes in topological order, not looking below those that are known."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if not known(node):
                stack.extend((arg, False) for arg in reversed(node.args))
    return order


def _ready(arg: Node, user: Node, levels: dict[Node, int], singly: set[Node]) -> int:
    if arg not in levels:
        return 0
    moves = domain_of(arg) != domain_of(user) or (arg in singly) != (user in singly)
    return levels[arg] + (moves or _form(user) != "pass")


def _steps(
    groups: dict[_Key, list[Node]],
    roots: set[Node],
    fixed: set[Node],
    known: Callable[[Node], bool],
) -> list[Step]:
    home = {node: key for key, nodes in groups.items() for node in nodes}
    outside: set[Node] = set()
    for key, nodes in groups.items():
        outside |= {a for n in nodes for a in n.args if home.get(a, key) != key}
    steps = []
    for key in sorted(groups):
        level, rank, domain, singly = key
        nodes = groups[key]
        stats: dict[Node, None] = {}
        imports: dict[Node, None] = {}
        for arg in (a for n in nodes for a in n.args):
            if arg in fixed or home.get(arg) == key:
                continue
            if arg.op == "stat" and arg.kind.axes and rank == 2:
                stats[arg] = None
            else:
                imports[arg] = None
        exports = [n for n in nodes if n in roots or n in outside or _worth_keeping(n)]
        form = ("gather", "join", "pass")[rank]
        name = f"{domain if form == 'pass' else form}_{level}{'_singly' if singly else ''}"
        steps.append(
            Step(name, domain, form, tuple(nodes), tuple(stats), tuple(imports), tuple(exports))
        )
    return steps


def _worth_keeping(node: Node) -> bool:
    """Numbers that were reduced from tensors are remembered: few values, much work."""
    return removes_level(node)
