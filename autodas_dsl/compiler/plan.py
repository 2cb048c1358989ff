"""Cut a DAG into stages: tensors block by block, numbers, and layer lists to one tensor.

How a value is computed depends on its own formula and on the layout alone, never on what else is
computed: that is what makes a population equal its members one by one, bit for bit. So numbers are
always computed for all units at once, tensors always block by block, and a tensor that several
stages need is computed again rather than kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autodas_dsl.compiler.ir import (
    Node,
    constants,
    is_gather,
    is_join,
    is_measure,
    topological,
)
from autodas_dsl.compiler.layout import NET, TEACHER, UNIT, WEIGHTS, Placement, tier_of
from autodas_dsl.compiler.outcome import ShapeMismatch
from autodas_dsl.compiler.spectra import SPECTRA, SPECTRAL

Key = tuple[int, int, str, int, bool]
"""Where a stage comes in the order: level, rank, domain, tier, whether it reads weights alone."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Nodes computed together.

    Parameters
    ----------
    name : str
        The name of the emitted function.
    form : str
        ``blocks`` (tensors, block by block), ``numbers`` (all units at once) or ``gather`` (a layer
        list of tensors to one tensor, network by network).
    domain : str
        Whose units blocks hold; that of the layer list of a gather.
    tier : int
        Which blocks.
    nodes : tuple of Node
        In the order of evaluation.
    reads : tuple of (str, Node)
        Statistics with axes, and spectra of statistics: a key of `SPECTRA` or empty.
    imports : tuple of Node
        What else it reads: numbers, the teacher's tensors, gathered tensors.
    exports : tuple of Node
    domains : dict of Node to str
        Of every node of the plan.
    weights : bool
        Whether it makes numbers of weights alone, the same for units of equal weights.
    """

    name: str
    form: str
    domain: str
    tier: int
    nodes: tuple[Node, ...]
    reads: tuple[tuple[str, Node], ...]
    imports: tuple[Node, ...]
    exports: tuple[Node, ...]
    domains: Mapping[Node, str]
    weights: bool = False


def plan(
    roots: Sequence[Node], known: Callable[[Node], bool], placement: Placement
) -> tuple[Stage, ...]:
    """The stages that compute `roots`, given which numbers are known already.

    Raises
    ------
    ShapeMismatch
        When a node combines layer lists that do not have one entry per layer in common.
    """
    return _Planner(roots, known, placement).stages()


@dataclass(frozen=True)
class _Cone:
    """The tensors that one value is made of."""

    nodes: set[Node]
    stats: set[Node]
    imports: set[Node]


class _Planner:
    def __init__(
        self, roots: Sequence[Node], known: Callable[[Node], bool], placement: Placement
    ) -> None:
        self.placement = placement
        self.fixed = constants(topological(roots))
        self.roots = [root for root in roots if root not in self.fixed]
        self.order = topological(self.roots, lambda node: node in self.fixed or known(node))
        self.place = {node: i for i, node in enumerate(self.order)}
        self.given = {
            node for node in self.order if node in self.fixed or node.op == "stat" or known(node)
        }
        self.domains: dict[Node, str] = {}
        self.levels: dict[Node, int] = {}
        for node in self.order:
            self.domains[node] = self._domain(node)
            self.levels[node] = self._level(node)

    # --- where and when -----------------------------------------------------------------------

    def _domain(self, node: Node) -> str:
        if node.op == "stat":
            return self.placement.domain(node.statistic)
        if node in self.given:  # a known number: what is below it was not visited
            statistics = (n.statistic for n in topological([node]) if n.op == "stat")
            below = {self.placement.domain(statistic) for statistic in statistics}
        else:
            below = {self.domains[arg] for arg in node.args if arg not in self.fixed}
        lists = below - {NET, TEACHER}
        if len(lists) > 1 and node not in self.given:
            raise ShapeMismatch(node, "combines layer lists of different length")
        if node.kind.layers:
            return next(iter(lists))
        return TEACHER if below == {TEACHER} else NET

    def _level(self, node: Node) -> int:
        """How many rounds of blocks must be over before a value can be there.

        A number is there after the blocks of its own level; tensors wait for numbers.
        """
        if node in self.given:
            return -1 if not node.kind.axes else 0
        if node.kind.axes or is_measure(node):
            return max(
                0, *(self.levels[arg] + (not arg.kind.axes or is_gather(arg)) for arg in node.args)
            )
        return max(self.levels[arg] for arg in node.args)

    # --- stages -------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        computed = [node for node in self.order if node not in self.given]
        groups: dict[Key, list[tuple[Node, _Cone]]] = {}
        for node in self._targets(computed):
            cone = self._cone(node)
            groups.setdefault(self._key(node, cone), []).append((node, cone))
        made = [(key, self._blocks(key, targets)) for key, targets in groups.items()]
        for node in filter(is_gather, computed):
            made.append(((self.levels[node], 2, "", self.place[node], False), self._gather(node)))
        made += self._numbers(computed, {arg for _, stage in made for arg in stage.imports})
        made.sort(key=lambda pair: pair[0])
        return tuple(stage for _, stage in made)

    def _targets(self, computed: list[Node]) -> list[Node]:
        """Values that leave blocks: measures, layers to be gathered, the teacher's tensors."""
        found = {node for node in computed if is_measure(node)}
        for node in computed:
            for arg in node.args:
                if arg in self.given or not arg.kind.axes or is_gather(arg):
                    continue
                crosses = self.domains[arg] == TEACHER and self.domains[node] != TEACHER
                if crosses or is_gather(node):
                    found.add(arg)
        return sorted(found, key=self.place.__getitem__)

    def _cone(self, target: Node) -> _Cone:
        cone = _Cone({target}, set(), set())
        stack = [target]
        while stack:
            for arg in stack.pop().args:
                if arg in self.fixed or arg in cone.nodes:
                    continue
                same = self.domains[arg] == self.domains[target]
                if not arg.kind.axes or is_gather(arg) or not same:
                    cone.imports.add(arg)
                elif arg.op == "stat":
                    cone.stats.add(arg)
                else:
                    cone.nodes.add(arg)
                    stack.append(arg)
        return cone

    def _key(self, target: Node, cone: _Cone) -> Key:
        domain = self.domains[target]
        statistics = [node.statistic for node in cone.stats]
        grows = any(self.placement.grows(node, cone.stats) for node in cone.nodes)
        singly = grows or domain == TEACHER or any(is_gather(node) for node in cone.imports)
        tier = UNIT if singly else tier_of(statistics)
        weights = (
            tier != UNIT and not target.kind.axes and not cone.imports
            and all(statistic == WEIGHTS for statistic in statistics)
        )  # fmt: skip
        return self.levels[target], int(domain != TEACHER), domain, tier, weights

    def _blocks(self, key: Key, targets: list[tuple[Node, _Cone]]) -> Stage:
        level, _, domain, tier, weights = key
        name = f"{domain}_{level}"
        if tier != UNIT:
            name += f"_{tier}" + ("_weights" if weights else "")
        elif domain != TEACHER:
            name += "_singly"
        nodes = self._sorted(*(cone.nodes for _, cone in targets))
        stats = self._sorted(*(cone.stats for _, cone in targets))
        imports = self._sorted(*(cone.imports for _, cone in targets))
        reads = [("", node) for node in stats]
        if domain != TEACHER:
            spectra = {(_spectrum_read(node), node.args[0]) for node in nodes}
            reads += [(w, node) for node in stats for w in SPECTRA if (w, node) in spectra]
        exports = tuple(node for node, _ in targets)
        return Stage(
            name, "blocks", domain, tier, nodes, tuple(reads), imports, exports, self.domains,
            weights,
        )  # fmt: skip

    def _gather(self, node: Node) -> Stage:
        domain = self.domains[node.args[0]]
        return Stage(
            f"gather_{self.place[node]}", "gather", domain, UNIT, (node,), (), node.args, (node,),
            self.domains,
        )  # fmt: skip

    def _numbers(self, computed: list[Node], imported: set[Node]) -> list[tuple[Key, Stage]]:
        by_level: dict[int, list[Node]] = {}
        used_at: dict[Node, int] = {}
        for node in computed:
            if not node.kind.axes and not is_measure(node):
                by_level.setdefault(self.levels[node], []).append(node)
            for arg in node.args:
                used_at[arg] = max(used_at.get(arg, -1), self.levels[node])
        kept = {*self.roots, *imported}
        made = []
        for level, nodes in by_level.items():
            imports = {a for n in nodes for a in n.args} - set(nodes) - self.fixed
            exports = tuple(
                n for n in nodes if n in kept or is_join(n) or used_at.get(n, -1) > level
            )
            stage = Stage(
                f"numbers_{level}".replace("-", "_"), "numbers", NET, UNIT,
                tuple(nodes), (), self._sorted(imports), exports, self.domains,
            )  # fmt: skip
            made.append(((level, 3, "", 0, False), stage))
        return made

    def _sorted(self, *sets: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(sorted(set().union(*sets), key=self.place.__getitem__))


def _spectrum_read(node: Node) -> str:
    """Which spectrum of a statistic a node is made of; those are worth keeping.

    Of eigenvalues only where the statistic is square by its kind: others may fail, and the failure
    belongs to the operator.
    """
    if node.op not in SPECTRAL or node.args[0].op != "stat":
        return ""
    which, _ = SPECTRAL[node.op]
    rows, columns = node.args[0].kind.axes
    return "" if which == "eigen" and rows.size != columns.size else which
