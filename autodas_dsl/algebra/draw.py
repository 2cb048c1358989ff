"""A computation graph as SVG: layers from the statistics on the left to the score on the right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import networkx as nx

from autodas_dsl.language.visible import escape

ROW, GAP, PAD, HEIGHT, LETTER = 64, 90, 24, 34, 8.2
_FILL = {"statistic": "#e8f1fb", "number": "#f5f5f5", "operator": "#ffffff", "pair": "#fdf3e1"}
_STROKE = {"statistic": "#2b6cb0", "number": "#8a8a8a", "operator": "#333333", "pair": "#b7791f"}
SWEEPS = 8


def svg(graph: nx.MultiDiGraph) -> str:
    """One self-contained SVG image, readable on light paper; kinds stand on the edges.

    Parameters
    ----------
    graph : MultiDiGraph
        From `computation_graph`.
    """
    routed, columns = _layers(graph)
    widths = {n: _width(graph, n) for n in routed}
    left = _column_starts(graph, columns, widths)
    rows = max(len(column) for column in columns)
    place = {
        node: (left[number], PAD + (rows - len(column)) * ROW / 2 + at * ROW + ROW / 2)
        for number, column in enumerate(columns)
        for at, node in enumerate(column)
    }
    total, height = left[-1] + widths[graph.graph["score"]] + PAD, rows * ROW + 2 * PAD
    title = escape(f"Computation graph of {graph.graph['name']}")
    body = [*_edges(graph, routed, place, widths), *_kinds(graph, place, widths)]
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
    depth: dict[str, int] = {}
    for node in nx.topological_sort(graph):
        depth[node] = max((depth[p] + 1 for p in graph.predecessors(node)), default=0)
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
) -> list[float]:
    """Where each column begins: room for its widest node and for the longest kind behind it."""
    starts = [float(PAD)]
    for column in columns[:-1]:
        own = [node for node in column if node in graph]
        longest = max((len(graph.nodes[node]["kind"]) for node in own), default=0)
        gap = max(GAP, 24 + 6.4 * longest)
        starts.append(starts[-1] + max(widths[node] for node in column) + gap)
    return starts


Place = Mapping[str, tuple[float, float]]


def _edges(
    graph: nx.MultiDiGraph, routed: nx.DiGraph, place: Place, widths: Mapping[str, float]
) -> list[str]:
    """Curves; the first argument of an operator arrives above the second."""
    lines: list[str] = []
    for node, user in routed.edges:
        (x, y), (tx, ty) = place[node], place[user]
        x += widths[node]
        ty += _arrival(graph, node.partition("@")[0], user)
        bend = max(30.0, (tx - x) / 2)
        lines.append(
            f'<path d="M{x:.1f} {y:.1f} C{x + bend:.1f} {y:.1f} {tx - bend:.1f} {ty:.1f} '
            f'{tx:.1f} {ty:.1f}" fill="none" stroke="#9aa5b1" stroke-width="1.4"/>'
        )
    return lines


def _arrival(graph: nx.MultiDiGraph, source: str, user: str) -> float:
    """How far from the middle of a node an edge ends."""
    if user not in graph or graph.in_degree(user) < 2:
        return 0.0
    arguments = [data["argument"] for data in graph.get_edge_data(source, user).values()]
    return 14.0 * (sum(arguments) / len(arguments) - (graph.in_degree(user) - 1) / 2)


def _kinds(graph: nx.MultiDiGraph, place: Place, widths: Mapping[str, float]) -> list[str]:
    """The kind of each value, once, where its edges leave."""
    return [
        f'<text x="{place[node][0] + widths[node] + 6:.1f}" y="{place[node][1] - 6:.1f}" '
        'font-size="10.5" fill="#4a5568" stroke="#ffffff" stroke-width="3" '
        f'paint-order="stroke">{escape(data["kind"])}</text>'
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
