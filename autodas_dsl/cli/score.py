"""``score``: models ranked by formulas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import data_of, device_of, dtype_of, models_of, teacher_of
from autodas_dsl.language.visible import visible_lines

if TYPE_CHECKING:
    from autodas_dsl.report.terminal import Row
    from autodas_dsl.scoring.explain import Explanation
    from autodas_dsl.scoring.score import Result, Scored

_EPILOG = """\b
MODEL is FILE.py[:NAME], 'FILE.py:Name(16, depth=2)', hf:NAME, timm:NAME, torchvision:NAME or
SPACE:ARCH.

\b
Examples:
  autodas-dsl score examples/resnet20.py examples/resnet56.py -p snip -p best.proxy
  autodas-dsl score cifar-resnet:3-3-3 -p rho_cnn --teacher examples/resnet110.py
  autodas-dsl score examples/resnet20.py -p "mean(|grad W|_F)" --data batch.npz --explain"""

_CONTRACT = ("model", "proxy", "score", "valid", "reason", "rank")


@click.command("score", epilog=_EPILOG)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@options.proxies()
@options.taught
@options.data("without it noise with random labels")
@options.input_shape
@options.classes("what MODEL says")
@options.batch_size
@options.dtype
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Repeat with N initialisations and batches; the score is the mean.")  # fmt: skip
@options.seed
@options.device
@click.option("--explain", is_flag=True,
              help="Show what was taken as F, E, P, the layers, and what each layer adds.")  # fmt: skip
@click.option("--compile", "compiled", is_flag=True,
              help="Run formulas through torch.compile: for one formula on many large models.")  # fmt: skip
@options.output_format
@options.extensions
def command(
    models: tuple[str, ...],
    specs: tuple[str, ...],
    data_spec: str | None,
    input_shape: tuple[int, ...] | None,
    classes: int | None,
    batch_size: int | None,
    dtype: str,
    seeds: int,
    seed: int,
    device: str,
    explain: bool,
    compiled: bool,
    format: str,
    **teaching: Any,
) -> None:
    """Score models with formulas and rank them.

    Each model is run once for all formulas together. Weights are those that the model comes with,
    else random.
    """
    from autodas_dsl.language.library import load

    proxies = [load(spec) for spec in specs]

    from autodas_dsl.report.terminal import note, tally
    from autodas_dsl.scoring.explain import explain_scores
    from autodas_dsl.scoring.score import score

    sources = models_of(models, input_shape, classes)
    setting: dict[str, Any] = {
        "teacher": teacher_of(**teaching, classes=classes),
        "data": data_of(data_spec, batch_size),
        "dtype": dtype_of(dtype),
        "device": device_of(device),
        "seed": seed,
    }
    with tally("scoring", len(sources) * seeds) as progress:
        result = score(
            sources, proxies, seeds=seeds, compiled=compiled, progress=progress, **setting
        )
    note(*result.notes)
    if explain:
        _print_explained([explain_scores(s, proxies, **setting) for s in sources], format)
    else:
        _print_scores(result, seeds, format)


def _print_scores(result: Result, seeds: int, format: str) -> None:
    """The scores; in a table, what could not be scored stands below instead of in every row."""
    from autodas_dsl.report.terminal import Column, for_people, show

    scores: Sequence[Scored] = result.scores
    if format == "table":
        scores = [one for one in scores if one.proxy not in result.unscored]
    rows = [{key: getattr(one, key) for key in (*_CONTRACT, "std")} for one in scores]
    keys = list(_CONTRACT)
    if format != "json" and seeds > 1:
        keys.insert(3, "std")
    if format == "table":
        rows = [{**row, "score": for_people(row["score"], row["proxy"])} for row in rows]
        keys.remove("valid")
        keys.remove("rank")
        keys.insert(0, "rank")
        if not any(one.reason for one in scores):
            keys.remove("reason")
    show(rows, [Column(key) for key in keys], format)
    if format == "table":
        for proxy, reason in result.unscored.items():
            click.echo(f"not scored: {proxy}: {reason}")


def _print_explained(models: Sequence[Explanation], format: str) -> None:
    if format == "table":
        click.echo(visible_lines("\n\n".join("\n".join(_explained(m)) for m in models)))
        return
    from autodas_dsl.report.terminal import Column, show, to_json

    if format == "json":
        click.echo(to_json([_as_json(model) for model in models]), nl=False)
        return
    keys = ("model", "proxy", "term", "layer", "value", "share")
    show(list(_layer_rows(models)), [Column(key) for key in keys], format)


def _layer_rows(models: Sequence[Explanation]) -> Iterator[Row]:
    for model in models:
        for formula in model.formulas:
            for term in formula.terms:
                for layer in term.layers:
                    yield {
                        "model": model.model, "proxy": formula.proxy, "term": term.term,
                        **asdict(layer),
                    }  # fmt: skip


_LISTS = {"lin": "Conv and Linear layers", "act": "activations", "bn": "BatchNorm layers",
          "block": "blocks", "att": "attentions", "mod": "modules"}  # fmt: skip


def _explained(model: Explanation) -> Iterator[str]:
    from autodas_dsl.report.terminal import score_text

    yield model.model
    for symbol, module in model.taken.items():
        yield f"  {symbol} is {module}"
    for kind, names in model.layers.items():
        if names:
            yield f"  {len(names)} {_LISTS.get(kind, kind)}: {', '.join(names)}"
    for formula in model.formulas:
        score = formula.score
        found = score_text(score.value, formula.proxy) if score.valid else score.reason
        yield f"  {formula.proxy} = {found}"
        for term in formula.terms:
            yield f"    {term.term} = {term.value:.6g}"
            wide = max((len(layer.layer) for layer in term.layers), default=0)
            for layer in term.layers:
                adds = "" if layer.share is None else f"  adds {layer.share:.6g}"
                yield f"      {layer.layer:{wide}}  {layer.value:<12.6g}{adds}".rstrip()


def _as_json(model: Explanation) -> dict[str, object]:
    return {
        "model": model.model,
        "taken": dict(model.taken),
        "layers": {kind: list(names) for kind, names in model.layers.items()},
        "proxies": [
            {
                "proxy": formula.proxy,
                "score": formula.score.value if formula.score.valid else None,
                "reason": formula.score.reason,
                "terms": [asdict(term) for term in formula.terms],
            }
            for formula in model.formulas
        ],
    }
