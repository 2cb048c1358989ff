"""``simplify``: the smallest formula that is proved equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import measured_on, setting_of
from autodas_dsl.language.documents import EXPRESSION, require_name
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.proxy import Proxy, format_formula
from autodas_dsl.language.tree import Expr
from autodas_dsl.report.graph import keep_existing

if TYPE_CHECKING:
    from autodas_dsl.evaluation.importance import Term
    from autodas_dsl.simplify.simplify import Simplified

_EPILOG = """\b
A smaller formula is accepted only when it equals the old one on seeded random statistics, NaN and
infinities in the same places, and scores the architectures of --table alike.

\b
Examples:
  autodas-dsl simplify "exp(log(sum(|W|_F))) + 0" --explain
  autodas-dsl simplify best.proxy --rank -o smaller.proxy
  autodas-dsl simplify best.proxy --table digits-resnet"""


@click.command("simplify", cls=options.FormulaCommand, epilog=_EPILOG)
@click.argument("spec", metavar="PROXY", type=options.PROXY)
@click.option("--rank", "ranking", is_flag=True,
              help="Also drop what cannot change a ranking, and say so in the document.")  # fmt: skip
@click.option("--explain", is_flag=True, help="Print each step with the law it used, as comments.")
@click.option("--table", "name", type=options.TABLE, metavar="TABLE",
              help="Prove on this table too, and list how much each term matters.")  # fmt: skip
@measured_on
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.proxy",
              help="Write the document to a file.")  # fmt: skip
@options.force
@click.option("--format", "format", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="json: formula, steps and terms.")  # fmt: skip
@options.extensions
def command(
    spec: str,
    ranking: bool,
    explain: bool,
    name: str | None,
    out: Path | None,
    force: bool,
    format: str,
    **measuring: Any,
) -> None:
    """Simplify a formula, with proof.

    Sympy and the laws of the operators propose, numbers dispose. The formula stays as it is where
    nothing smaller is proved equal, and the reason is printed.
    """
    from autodas_dsl.language.library import load

    proxy = load(spec)
    if out is not None:
        require_name(out.stem)
        keep_existing(out, force)

    from autodas_dsl.report.terminal import note
    from autodas_dsl.simplify.proof import judges
    from autodas_dsl.simplify.simplify import simplify

    scores: Callable[[Expr], Sequence[float]] | None = None
    terms: list[Term] = []
    if name is not None:
        scores, terms = _on_table(proxy, name, **measuring)
    result = simplify(proxy, judges(scores, measuring["seed"]), rank=ranking)
    if not result.steps:
        note(f"not simplified: {result.reason}")
    elif result.reason:
        note(f"note: {result.reason}")
    found = result.proxy if out is None else replace(result.proxy, name=out.stem)
    if out is not None:
        from autodas_dsl.language.files import write_atomic

        write_atomic(out, str(found))
        note(f"wrote {out}")
    if format == "json":
        _print_json(result, terms)
    else:
        _print(found, result, terms, explain)


def _on_table(
    proxy: Proxy,
    name: str,
    space: str | None,
    target: str | None,
    limit: int | None,
    seed: int,
    **networks: Any,
) -> tuple[Callable[[Expr], Sequence[float]], list[Term]]:
    """Scores of formulas on the architectures of a table, and how much each term matters."""
    from autodas_dsl.compiler.pipeline import to_ir
    from autodas_dsl.evaluation.importance import signed_terms, term_importance
    from autodas_dsl.evaluation.rank import chosen_rows
    from autodas_dsl.language.typed import inlined
    from autodas_dsl.report.terminal import note, tally
    from autodas_dsl.scoring.scorer import bind
    from autodas_dsl.scoring.stored import collect_table
    from autodas_dsl.scoring.table import table_and_space

    table, family = table_and_space(name, space)
    chosen, accuracies = table.measured(target)
    rows = chosen_rows(chosen, family, limit, None, seed)
    names = [chosen.architectures[row] for row in rows]
    with tally("collecting statistics", len(names)) as progress:
        stored = collect_table(names, family, bind(proxy).statistics,
                               setting_of(family, **networks), seed=seed, progress=progress)  # fmt: skip
    note(*stored.known.notes)
    evaluate = stored.evaluator(range(len(names)))

    def scores(expr: Expr) -> Sequence[float]:
        return [float(value) for value in evaluate([to_ir(expr)])[0].scores]

    whole = inlined(proxy.typed().score, proxies=False)
    several = len(signed_terms(whole)) > 1
    return scores, term_importance(whole, scores, list(accuracies[rows])) if several else []


def _print(proxy: Proxy, result: Simplified, terms: Sequence[Term], explain: bool) -> None:

    if explain:
        for line in _steps(result):
            click.echo(f"# {line}")
    plain = proxy.name == EXPRESSION
    click.echo(format_formula(proxy) if plain else str(proxy), nl=plain)
    if terms:
        from autodas_dsl.report.terminal import Column, show

        columns = [
            Column("text", "term"), Column("share", digits=3),
            Column("kept", "tau without : with", digits=3, signed=True),
            Column("changes_ranking", "changes the ranking"),
            Column("alone", "tau alone", digits=3, signed=True),
            Column("without", "tau of the rest", digits=3, signed=True),
        ]  # fmt: skip
        click.echo()
        show([asdict(term) for term in terms], columns, title="How much each term matters")


def _steps(result: Simplified) -> Iterator[str]:
    from autodas_dsl.simplify.simplify import explain

    yield from explain(result).split("\n") if result.steps else ["no step"]


def _print_json(result: Simplified, terms: Sequence[Term]) -> None:
    from autodas_dsl.language.tree import complexity
    from autodas_dsl.report.terminal import to_json

    click.echo(to_json({
        "formula": format_formula(result.proxy),
        "raw": format_formula(result.raw),
        "complexity": complexity(result.proxy.score.expr),
        "ranking_only": result.ranking_only,
        "reason": result.reason,
        "steps": [
            {
                "law": step.law, "before": format_expression(step.before),
                "after": format_expression(step.after), "formula": format_expression(step.whole),
                "ranking_only": step.ranking_only,
            }
            for step in result.steps
        ],
        "terms": [asdict(term) for term in terms],
    }), nl=False)  # fmt: skip
