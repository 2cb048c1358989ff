"""The computation graph of a proxy: every distinct value once, its kind on the edges."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import networkx as nx

from autodas_dsl.language.check import AnyKind, Proxied, apply_kinds
from autodas_dsl.language.format import format_attrs, format_expression
from autodas_dsl.language.inputs import kind_of
from autodas_dsl.language.kinds import NUMBER, Kind, Pair, Requirement
from autodas_dsl.language.library import library_names, proxied, verify
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy, format_formula, input_names
from autodas_dsl.language.resolve import operator_values, statistic_named
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf
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
    verify(proxy)
    builder = _Builder(proxy.name)
    graph = builder.graph
    score = graph.graph["score"] = builder.of_proxied(proxy.as_proxied())
    graph.remove_nodes_from(set(graph) - {score, *nx.ancestors(graph, score)})  # unused lets
    return graph


class _Builder:
    def __init__(self, name: str) -> None:
        self.graph: nx.MultiDiGraph = nx.MultiDiGraph(name=visible(name))
        self.known: dict[tuple[Any, ...], str] = {}
        self.kinds: dict[str, AnyKind] = {}

    def of_proxied(self, proxy: Proxied) -> str:
        scope: dict[str, str] = {}
        for name, body in proxy.lets:
            scope[name] = self.node(body, scope)
        return self.node(proxy.score, scope)

    def node(self, expr: Expr, scope: Mapping[str, str]) -> str:
        if isinstance(expr, Number):
            return self._add("number", format_expression(expr), NUMBER)
        if isinstance(expr, Name):
            return self._name(expr, scope)
        if isinstance(expr, PairOf):
            parts = (self.node(expr.first, scope), self.node(expr.second, scope))
            kind = Pair(*(self._plain(part) for part in parts))
            return self._add("pair", "[ , ]", kind, parts)
        return self._call(expr, scope)

    def _name(self, name: Name, scope: Mapping[str, str]) -> str:
        if name.text in scope and not name.prefix:
            return scope[name.text]
        statistic = statistic_named(name)
        if statistic is not None:
            return self._add("statistic", str(statistic), kind_of(statistic))
        inner = proxied(name.text)
        assert inner is not None  # the formula checks
        return self.of_proxied(inner)

    def _call(self, call: Call, scope: Mapping[str, str]) -> str:
        parts = tuple(self.node(arg, scope) for arg in call.args)
        entry = OPERATORS[call.op]
        values = operator_values(entry, call.attrs, call.span)
        kind = apply_kinds(entry, [self.kinds[part] for part in parts], values, _ignore, call.span)
        label = entry.graph + format_attrs(call.attrs)
        return self._add("operator", label, kind, parts, entry.group)

    def _plain(self, node: str) -> Kind:
        kind = self.kinds[node]
        assert isinstance(kind, Kind)  # pairs of pairs do not check
        return kind

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


def _ignore(requirement: Requirement) -> None:
    """Requirements were listed by the checker."""


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
    checked = proxy.check(proxied, library_names)
    requirements = {str(needed.requirement) for needed in checked.requirements}
    data = {
        "name": proxy.name,
        "about": proxy.about,
        "source": proxy.source,
        "better": proxy.better,
        "formula": format_formula(proxy),
        "inputs": input_names(checked.statistics),
        "requirements": sorted(requirements),
        "graph": {"score": graph.graph["score"], "nodes": found["nodes"], "edges": found["edges"]},
    }
    return json_text(data)
