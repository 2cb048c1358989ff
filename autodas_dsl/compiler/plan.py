"""Cut a DAG into steps: passes over blocks of tensors, numbers, and joins of layer lists.

How a value is computed depends on its own formula and on the layout alone, never on what else is
computed: that is what makes a population equal its members one by one, bit for bit. So numbers are
always computed for all units at once, tensors always block by block, and a tensor that several
steps need is computed again rather than kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.places import (
    NET,
    TEACHER,
    UNIT,
    WEIGHTS,
    Anywhere,
    Places,
    tier_of,
)
from autodas_dsl.compiler.spectra import SPECTRA
from autodas_dsl.compiler.templates import LIST_OPERATORS, spectrum_read
from autodas_dsl.language.inputs import Statistic

Key = tuple[int, int, str, int, bool]
"""Where a step comes in the order: level, rank, domain, tier, whether it reads weights alone."""


@dataclass(frozen=True, eq=False)
class Step:
    """Nodes computed together.

    Parameters
    ----------
    name : str
        The name of the emitted function.
    form : str
        ``pass`` (tensors, block by block), ``numbers`` (all units at once) or ``gather`` (a layer
        list of tensors to one tensor, network by network).
    domain : str
        Whose units a pass runs over; that of the layer list of a gather.
    tier : int
        Which blocks a pass runs over.
    nodes : tuple of Node
        In the order of evaluation.
    stats : tuple of Node
        Statistics with axes that it reads.
    imports : tuple of Node
        What else it reads: numbers, the teacher's tensors, gathered tensors.
    exports : tuple of Node
    domains : dict of Node to str
        Of every node of the plan.
    weights : bool
        Whether a pass makes numbers of weights alone, the same for units of equal weights.
    """

    name: str
    form: str
    domain: str
    tier: int
    nodes: tuple[Node, ...]
    stats: tuple[Node, ...]
    imports: tuple[Node, ...]
    exports: tuple[Node, ...]
    domains: Mapping[Node, str]
    weights: bool = False

    @property
    def spectra(self) -> tuple[tuple[str, Node], ...]:
        """Which spectra it reads, of which statistics."""
        if self.form != "pass" or self.domain == TEACHER:
            return ()
        found = {(spectrum_read(node), node.args[0]) for node in self.nodes if spectrum_read(node)}
        return tuple(
            (which, node) for node in self.stats for which in SPECTRA if (which, node) in found
        )


class MixedLists(Exception):
    """A node combines layer lists that do not have one entry per layer in common."""

    def __init__(self, node: Node) -> None:
        super().__init__(f"`{node.op}` combines layer lists of different length")
        self.node = node


def constants(order: Sequence[Node]) -> set[Node]:
    """Nodes below which there is no statistic."""
    found: set[Node] = set()
    for node in order:
        if node.op != "stat" and all(arg in found for arg in node.args):
            found.add(node)
    return found


def is_gather(node: Node) -> bool:
    """Makes one tensor of a layer list of tensors."""
    return node.op in LIST_OPERATORS and bool(node.args[0].kind.axes)


def is_measure(node: Node) -> bool:
    """A number made of tensors."""
    return not node.kind.axes and any(arg.kind.axes for arg in node.args)


def plan(
    roots: Iterable[Node], known: Callable[[Node], bool], places: Places | None = None
) -> list[Step]:
    """The steps that compute `roots`, given which numbers are known already.

    Raises
    ------
    MixedLists
    """
    return _Planner(list(roots), known, places or Anywhere()).steps()


@dataclass(frozen=True)
class _Cone:
    """The tensors that one value is made of."""

    nodes: frozenset[Node]
    stats: frozenset[Node]
    imports: frozenset[Node]


class _Planner:
    def __init__(self, roots: list[Node], known: Callable[[Node], bool], places: Places) -> None:
        self.places = places
        self.fixed = constants(topological(roots))
        self.roots = [root for root in roots if root not in self.fixed]
        self.order = _needed(self.roots, lambda node: node in self.fixed or known(node))
        self.place = {node: i for i, node in enumerate(self.order)}
        self.domains: dict[Node, str] = {}
        self.given = {
            node for node in self.order if node in self.fixed or node.op == "stat" or known(node)
        }
        for node in self.order:
            self.domains[node] = self._domain(node)
        self.levels: dict[Node, int] = {}
        for node in self.order:
            self.levels[node] = self._level(node)

    # --- where and when -----------------------------------------------------------------------

    def _domain(self, node: Node) -> str:
        if node.op == "stat":
            return self.places.domain(node.statistic)
        if node in self.given:  # a known number: what is below it was not visited
            return self._known_domain(node)
        below = {self.domains[arg] for arg in node.args if arg not in self.fixed}
        lists = below - {NET, TEACHER}
        if len(lists) > 1:
            raise MixedLists(node)
        if node.kind.layers:
            return next(iter(lists))
        return TEACHER if below == {TEACHER} else NET

    def _known_domain(self, node: Node) -> str:
        below = {self.places.domain(n.statistic) for n in topological([node]) if n.op == "stat"}
        lists = below - {NET, TEACHER}
        if node.kind.layers:
            return next(iter(lists))
        return TEACHER if below == {TEACHER} else NET

    def _level(self, node: Node) -> int:
        """How many rounds of passes must be over before a value can be there.

        A number is there after the pass of its own level; tensors wait for numbers.
        """
        if node in self.given:
            return -1 if not node.kind.axes else 0
        if node.kind.axes or is_measure(node):
            return max(0, *(self.levels[arg] + self._waits_for(arg) for arg in node.args))
        return max(self.levels[arg] for arg in node.args)

    def _waits_for(self, arg: Node) -> bool:
        return not arg.kind.axes or is_gather(arg)

    # --- steps --------------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        computed = [node for node in self.order if node not in self.given]
        groups: dict[Key, list[tuple[Node, _Cone]]] = {}
        for node in self._targets(computed):
            cone = self._cone(node)
            key = self._pass_key(node, cone)
            groups.setdefault(key, []).append((node, cone))
        made: list[tuple[Key, Step]] = []
        for key, targets in groups.items():
            made.append((key, self._pass(key, targets)))
        gathers = [node for node in computed if is_gather(node)]
        for node in gathers:
            made.append(((self.levels[node], 2, "", self.place[node], False), self._gather(node)))
        made += self._number_steps(computed, {a for _, s in made for a in s.imports})
        made.sort(key=lambda pair: pair[0])
        return [step for _, step in made]

    def _targets(self, computed: list[Node]) -> list[Node]:
        """Values that leave a pass: measures, layers to be gathered, the teacher's tensors."""
        found = {node: None for node in computed if is_measure(node)}
        for node in computed:
            for arg in node.args:
                if arg in self.given or not arg.kind.axes or is_gather(arg):
                    continue
                crosses = self.domains[arg] == TEACHER and self.domains[node] != TEACHER
                if crosses or is_gather(node):
                    found[arg] = None
        return sorted(found, key=self.place.__getitem__)

    def _cone(self, target: Node) -> _Cone:
        domain = self.domains[target]
        nodes: set[Node] = {target}
        stats: set[Node] = set()
        imports: set[Node] = set()
        stack = [target]
        while stack:
            for arg in stack.pop().args:
                if arg in self.fixed or arg in nodes:
                    continue
                if not arg.kind.axes or is_gather(arg) or self.domains[arg] != domain:
                    imports.add(arg)
                elif arg.op == "stat":
                    stats.add(arg)
                else:
                    nodes.add(arg)
                    stack.append(arg)
        return _Cone(frozenset(nodes), frozenset(stats), frozenset(imports))

    def _pass_key(self, target: Node, cone: _Cone) -> Key:
        domain = self.domains[target]
        statistics: list[Statistic] = [node.statistic for node in cone.stats]
        grows = any(self.places.grows(node, cone.stats) for node in cone.nodes)
        singly = grows or domain == TEACHER or any(is_gather(node) for node in cone.imports)
        tier = UNIT if singly else tier_of(statistics)
        weights = (
            tier != UNIT and not target.kind.axes and not cone.imports
            and all(statistic == WEIGHTS for statistic in statistics)
        )  # fmt: skip
        return self.levels[target], int(domain != TEACHER), domain, tier, weights

    def _pass(self, key: Key, targets: list[tuple[Node, _Cone]]) -> Step:
        level, _, domain, tier, weights = key
        cones = [cone for _, cone in targets]
        name = f"{domain}_{level}" + ("_singly" if tier == UNIT and domain != TEACHER else "")
        if tier != UNIT:
            name += f"_{tier}" + ("_weights" if weights else "")
        return Step(
            name, "pass", domain, tier,
            self._sorted(*(cone.nodes for cone in cones)),
            self._sorted(*(cone.stats for cone in cones)),
            self._sorted(*(cone.imports for cone in cones)),
            tuple(node for node, _ in targets), self.domains, weights,
        )  # fmt: skip

    def _gather(self, node: Node) -> Step:
        name = f"gather_{self.place[node]}"
        return Step(
            name, "gather", self.domains[node.args[0]], UNIT, (node,), (), node.args, (node,),
            self.domains,
        )  # fmt: skip

    def _number_steps(self, computed: list[Node], imported: set[Node]) -> list[tuple[Key, Step]]:
        by_level: dict[int, list[Node]] = {}
        for node in computed:
            if not node.kind.axes and not is_measure(node):
                by_level.setdefault(self.levels[node], []).append(node)
        roots = set(self.roots)
        used_at: dict[Node, int] = {}
        for node in computed:
            for arg in node.args:
                used_at[arg] = max(used_at.get(arg, -1), self.levels[node])
        made = []
        for level, nodes in by_level.items():
            own = set(nodes)
            imports = {a for n in nodes for a in n.args if a not in own and a not in self.fixed}
            exports = [
                n for n in nodes
                if n in roots or n in imported or is_join(n) or used_at.get(n, -1) > level
            ]  # fmt: skip
            step = Step(
                f"numbers_{level}".replace("-", "_"), "numbers", NET, UNIT,
                tuple(nodes), (), self._sorted(imports), tuple(exports), self.domains,
            )  # fmt: skip
            made.append(((level, 3, "", 0, False), step))
        return made

    def _sorted(self, *sets: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(sorted(set().union(*sets), key=self.place.__getitem__))


def is_join(node: Node) -> bool:
    """Reduces a layer list of numbers to one number per network."""
    return not node.kind.layers and any(a.kind.layers and not a.kind.axes for a in node.args)


def _needed(roots: list[Node], given: Callable[[Node], bool]) -> list[Node]:
    """Nodes in topological order, not looking below those that are given."""
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
            if not given(node):
                stack.extend((arg, False) for arg in reversed(node.args))
    return order
