"""A computation graph as SVG: layers from the statistics on the left to the score on the right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import networkx as nx

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.visible import escape
from autodas_dsl.printing.graph import computation_graph

ROW, PAD, HEIGHT, LETTER = 64, 24, 34, 8.2
CURVE, SMALL_LETTER, ARROW = 64, 6.6, 7
"""How wide edges curve between two columns, and a letter of a kind; the length of an arrowhead."""
_EDGE = "#7b8794"
_FILL = {"statistic": "#e8f1fb", "number": "#f5f5f5", "operator": "#ffffff", "pair": "#fdf3e1"}
_STROKE = {"statistic": "#2b6cb0", "number": "#8a8a8a", "operator": "#333333", "pair": "#b7791f"}
SWEEPS = 8


def svg(proxy: Proxy) -> str:
    """One self-contained SVG image, readable on light paper; kinds stand on the edges.

    Parameters
    ----------
    proxy : Proxy

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    graph = computation_graph(proxy)
    routed, columns = _layers(graph)
    widths = {n: _width(graph, n) for n in routed}
    left, turns = _column_starts(graph, columns, widths)
    rows = max(len(column) for column in columns)
    place = {
        node: (left[number], PAD + (rows - len(column)) * ROW / 2 + at * ROW + ROW / 2)
        for number, column in enumerate(columns)
        for at, node in enumerate(column)
    }
    turn = {node: x for column, x in zip(columns, turns, strict=True) for node in column}
    total, height = left[-1] + widths[graph.graph["score"]] + PAD, rows * ROW + 2 * PAD
    title = escape(f"Computation graph of {graph.graph['name']}")
    body = [*_edges(graph, routed, place, widths, turn), *_kinds(graph, place, widths)]
    body += _nodes(graph, place, widths)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {height:.0f}" '
        f'width="{total:.0f}" height="{height:.0f}" role="img" aria-label="{title}" '
        'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13">',
        f"<title>{title}</title>",
        f'<rect width="{total:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *body, "</svg>", "",
    ])  # fmt: skip


def _width(graph: nx.MultiDiGraph, node: str) -> float:
    """How wide a node is drawn; a bend of a long edge has no width."""
    return max(44.0, LETTER * len(graph.nodes[node]["label"]) + 22) if node in graph else 0.0


def _layers(graph: nx.MultiDiGraph) -> tuple[nx.DiGraph, list[list[str]]]:
    """The edges with a bend in each layer that they cross, and the ordered layers.

    A node stands right after its last argument; one without arguments right before its first use.
    All long edges of one value share their bends.
    """
    layers = enumerate(nx.topological_generations(graph))
    depth = {node: number for number, layer in layers for node in layer}
    for node in graph.nodes:
        users = [depth[user] for user in graph.successors(node)]
        if graph.in_degree(node) == 0 and users:
            depth[node] = min(users) - 1
    routed: nx.DiGraph = nx.DiGraph()
    for source, target in dict.fromkeys((s, t) for s, t, _ in graph.edges):
        bends = [f"{source}@{at}" for at in range(depth[source] + 1, depth[target])]
        depth.update({bend: depth[source] + 1 + at for at, bend in enumerate(bends)})
        nx.add_path(routed, [source, *bends, target])
    routed.add_node(graph.graph["score"])
    return routed, _ordered(routed, depth, graph.graph["score"])


def _ordered(routed: nx.DiGraph, depth: Mapping[str, int], score: str) -> list[list[str]]:
    """Layers from left to right, each in an order with few crossings."""
    columns: dict[int, list[str]] = defaultdict(list)
    for node in nx.dfs_postorder_nodes(routed.reverse(copy=False), score):
        columns[depth[node]].append(node)
    ordered = [columns[number] for number in sorted(columns)]
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        _sort_by_neighbours(routed, ordered if forward else ordered[::-1], forward)
    return ordered


def _sort_by_neighbours(routed: nx.DiGraph, columns: list[list[str]], forward: bool) -> None:
    """Sort each column by the mean height of the neighbours in the columns before it."""
    height: dict[str, float] = {}
    for column in columns:
        start = -(len(column) - 1) / 2
        wanted: dict[str, float] = {}
        for at, node in enumerate(column):
            near = routed.predecessors(node) if forward else routed.successors(node)
            known = [height[other] for other in near if other in height]
            wanted[node] = sum(known) / len(known) if known else start + at
        column[:] = sorted(column, key=wanted.__getitem__)
        height.update({node: start + at for at, node in enumerate(column)})


def _column_starts(
    graph: nx.MultiDiGraph, columns: list[list[str]], widths: Mapping[str, float]
) -> tuple[list[float], list[float]]:
    """Where each column begins, and where the edges that leave it turn: behind all its kinds."""
    starts, turns = [float(PAD)], []
    for column in columns:
        ends = [widths[node] + _width_of_kind(graph, node) for node in column]
        turns.append(starts[-1] + max(ends))
        starts.append(turns[-1] + CURVE)
    return starts[:-1], turns


def _width_of_kind(graph: nx.MultiDiGraph, node: str) -> float:
    return SMALL_LETTER * len(graph.nodes[node]["kind"]) + 10 if node in graph else 0.0


Place = Mapping[str, tuple[float, float]]


def _edges(
    graph: nx.MultiDiGraph, routed: nx.DiGraph, place: Place, widths: Mapping[str, float],
    turn: Mapping[str, float],
) -> list[str]:  # fmt: skip
    """Level below the kind of its value, an edge curves only between the columns.

    So none crosses a kind. The first argument of an operator arrives above the second.
    """
    lines: list[str] = []
    for node, user in routed.edges:
        (x, y), (tx, ty) = place[node], place[user]
        x += widths[node]
        ty += _arrival(graph, node.partition("@")[0], user)
        end = tx - ARROW if user in graph else tx
        middle = (turn[node] + end) / 2
        lines.append(
            f'<path d="M{x:.1f} {y:.1f} H{turn[node]:.1f} C{middle:.1f} {y:.1f} {middle:.1f} '
            f'{ty:.1f} {end:.1f} {ty:.1f}" fill="none" stroke="{_EDGE}" stroke-width="1.4"/>'
        )
        if user in graph:
            lines.append(f'<path d="M{tx:.1f} {ty:.1f} l-{ARROW} -4 v8 z" fill="{_EDGE}"/>')
    return lines


def _arrival(graph: nx.MultiDiGraph, source: str, user: str) -> float:
    """How far from the middle of a node an edge ends."""
    if user not in graph or graph.in_degree(user) < 2:
        return 0.0
    arguments = [data["argument"] for data in graph.get_edge_data(source, user).values()]
    return 14.0 * (sum(arguments) / len(arguments) - (graph.in_degree(user) - 1) / 2)


def _kinds(graph: nx.MultiDiGraph, place: Place, widths: Mapping[str, float]) -> list[str]:
    """The kind of each value, once, above the edges that leave it."""
    return [
        f'<text x="{place[node][0] + widths[node] + 6:.1f}" y="{place[node][1] - 6:.1f}" '
        f'font-size="10.5" fill="#4a5568">{escape(data["kind"])}</text>'
        for node, data in graph.nodes(data=True)
        if graph.out_degree(node)
    ]


def _nodes(graph: nx.MultiDiGraph, place: Place, widths: Mapping[str, float]) -> list[str]:
    lines: list[str] = []
    for node, data in graph.nodes(data=True):
        x, y = place[node]
        radius = 4 if data["role"] in ("statistic", "number") else HEIGHT / 2
        bold = 3 if node == graph.graph["score"] else 1.4
        lines.append(
            f'<rect x="{x:.1f}" y="{y - HEIGHT / 2:.1f}" width="{widths[node]:.1f}" '
            f'height="{HEIGHT}" rx="{radius:g}" fill="{_FILL[data["role"]]}" '
            f'stroke="{_STROKE[data["role"]]}" stroke-width="{bold}"/>'
        )
        lines.append(
            f'<text x="{x + widths[node] / 2:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" '
            f'fill="#1a202c">{escape(data["label"])}</text>'
        )
    return lines
