"""``train``: train one network on the labels: a teacher, or a student to compare with."""

from __future__ import annotations

from typing import Any

import click

from autodas_dsl.cli.training import Given, trained_with

_EPILOG = """\b
Examples:
  autodas-dsl train digits-resnet:depth=1-1-1,width=32-64-64 --data digits --test-data digits \\
    --out runs/teacher
  autodas-dsl distill digits-resnet:depth=1-1-1,width=8-8-8 --teacher runs/teacher/model.py \\
    --data digits --test-data digits"""


@click.command("train", epilog=_EPILOG)
@click.argument("model", metavar="MODEL")
@trained_with()
@click.pass_context
def command(ctx: click.Context, model: str, **given: Any) -> None:
    """Train a network on labels alone, such as a teacher.

    It is tested on samples that were held out at random, or on --test-data.
    """
    run = Given.of(ctx, given)
    run.check("model")

    from autodas_dsl.models.load import load_model
    from autodas_dsl.report.terminal import note, progress_bar
    from autodas_dsl.training.distillation import train

    source = load_model(model, "model", input_shape=run.input_shape, classes=run.classes)
    samples = run.parts(source)
    note(f"model: {source.name}, {source.weights}")
    with progress_bar("training", run.steps(samples)) as advance:
        done = train(
            source.build(run.seed).to(run.device), samples.train, validation=samples.validation,
            held_out=samples.test, recipe=run.recipe, seed=run.seed,
            checkpoint=run.checkpoint(samples.told | {"model": model}), progress=advance,
        )  # fmt: skip
    row = {"model": source.name, **samples.counted(done), "final_loss": done.losses[-1]}
    run.finish("model", model, samples, done, row, {})
