"""The computation graph of a proxy: every distinct value once, its kind on the edges."""

from __future__ import annotations

import io
from typing import Any

import networkx as nx

from autodas_dsl.language.format import format_attrs, format_expression
from autodas_dsl.language.kinds import AnyKind
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
    builder = _Builder(proxy.name)
    graph = builder.graph
    for node in typed.values:
        builder.add(node)
    score = graph.graph["score"] = builder.names[typed.score.value()]
    graph.remove_nodes_from(set(graph) - {score, *nx.ancestors(graph, score)})  # unused lets
    return graph


class _Builder:
    def __init__(self, name: str) -> None:
        self.graph: nx.MultiDiGraph = nx.MultiDiGraph(name=visible(name))
        self.known: dict[tuple[Any, ...], str] = {}
        self.kinds: dict[str, AnyKind] = {}
        self.names: dict[Typed, str] = {}

    def add(self, node: Typed) -> None:
        expr = node.expr
        parts = tuple(self.names[child.value()] for child in node.children)
        if isinstance(expr, Call):
            label = OPERATORS[expr.op].graph + format_attrs(expr.attrs)
            name = self._add("operator", label, node.kind, parts, OPERATORS[expr.op].group)
        elif isinstance(expr, PairOf):
            name = self._add("pair", "[ , ]", node.kind, parts)
        elif node.statistic is not None:
            name = self._add("statistic", str(node.statistic), node.kind)
        else:
            name = self._add("number", format_expression(expr), node.kind)
        self.names[node] = name

    def _add(
        self, role: str, label: str, kind: AnyKind, parts: tuple[str, ...] = (), group: str = ""
    ) -> str:
        key = (role, label, group, parts)
        if key in self.known:
            return self.known[key]
        name = f"n{len(self.known)}"
        self.known[key], self.kinds[name] = name, kind
        self.graph.add_node(name, label=label, role=role, group=group, kind=str(kind))
        for number, part in enumerate(parts):
            self.graph.add_edge(part, name, kind=str(self.kinds[part]), argument=number)
        return name


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
