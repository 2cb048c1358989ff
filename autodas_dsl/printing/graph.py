"""The computation graph of a proxy: every distinct value once, its kind on the edges."""

from __future__ import annotations

import io

import networkx as nx

from autodas_dsl.language.format import format_attrs, format_expression
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy, format_formula, input_names
from autodas_dsl.language.tree import Call, PairOf
from autodas_dsl.language.typed import Typed
from autodas_dsl.language.visible import json_text, visible


def computation_graph(proxy: Proxy) -> nx.MultiDiGraph:
    """The graph from statistics to the score; equal parts, also those of library proxies, once.

    Parameters
    ----------
    proxy : Proxy

    Returns
    -------
    MultiDiGraph
        Nodes are ``n0``, ``n1``, … with `label`, `role` (``statistic``, ``number``, ``operator``,
        ``pair``), `group` and `kind`; edges have `kind` and `argument`. The score is the graph
        attribute `score`.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    typed = proxy.typed()
    graph: nx.MultiDiGraph = nx.MultiDiGraph(name=visible(proxy.name))
    known: dict[tuple[tuple[str, str, str], tuple[str, ...]], str] = {}
    names: dict[Typed, str] = {}
    for node in typed.values:
        parts = tuple(names[child.value()] for child in node.children)
        role, label, group = shown = _shown(node)
        name = names[node] = known.setdefault((shown, parts), f"n{len(known)}")
        if name not in graph:
            graph.add_node(name, label=label, role=role, group=group, kind=str(node.kind))
            for number, part in enumerate(parts):
                graph.add_edge(part, name, kind=graph.nodes[part]["kind"], argument=number)
    score = graph.graph["score"] = names[typed.score.value()]
    graph.remove_nodes_from(set(graph) - {score, *nx.ancestors(graph, score)})  # unused lets
    return graph


def _shown(node: Typed) -> tuple[str, str, str]:
    """Role, label and group of a value."""
    expr = node.expr
    if isinstance(expr, Call):
        entry = OPERATORS[expr.op]
        return "operator", entry.graph + format_attrs(expr.attrs), entry.group
    if isinstance(expr, PairOf):
        return "pair", "[ , ]", ""
    if node.statistic is not None:
        return "statistic", str(node.statistic), ""
    return "number", format_expression(expr), ""


def dot(proxy: Proxy) -> str:
    """Graphviz text."""
    graph = computation_graph(proxy)
    shapes = {"statistic": "box", "number": "plaintext", "operator": "ellipse", "pair": "ellipse"}
    lines = [f"digraph {_quote(graph.graph['name'])} {{", "  rankdir=LR;"]
    for name, data in graph.nodes(data=True):
        bold = ", penwidth=2" if name == graph.graph["score"] else ""
        lines.append(
            f"  {name} [label={_quote(data['label'])}, shape={shapes[data['role']]}{bold}];"
        )
    for source, target, data in graph.edges(data=True):
        lines.append(f"  {source} -> {target} [label={_quote(data['kind'])}];")
    return "\n".join([*lines, "}", ""])


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def graphml(proxy: Proxy) -> str:
    """GraphML text."""
    buffer = io.BytesIO()
    nx.write_graphml(computation_graph(proxy), buffer, named_key_ids=True)
    return buffer.getvalue().decode("utf-8") + "\n"


def as_json(proxy: Proxy) -> str:
    """The proxy as data: its text, inputs, requirements, complexity and computation graph.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    graph = computation_graph(proxy)
    found = nx.node_link_data(graph, edges="edges")
    typed = proxy.typed()
    data = {
        "name": proxy.name,
        "about": proxy.about,
        "source": proxy.source,
        "better": proxy.better,
        "formula": format_formula(proxy),
        "inputs": input_names(typed.statistics),
        "requirements": sorted({str(needed) for needed in typed.requirements}),
        "graph": {"score": graph.graph["score"], "nodes": found["nodes"], "edges": found["edges"]},
    }
    return json_text(data)
