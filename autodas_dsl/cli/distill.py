"""``distill``: train one student with a teacher."""

from __future__ import annotations

from typing import Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.training import Given, trained_with
from autodas_dsl.training.losses import LOSSES

_EPILOG = """\b
A loss is the library's formula of that name with the sign turned (`autodas-dsl show kd`), hints or
crd, or a .proxy file or formula of your own over F, E, P, V and Y. The whole loss is
cross-entropy + weight L, with the loss's usual weight; of kd (1 - alpha) cross-entropy + alpha L.

\b
Examples:
  autodas-dsl distill digits-resnet:depth=1-1-1,width=8-8-8 --data digits --test-data digits \\
    --teacher digits-resnet:depth=1-1-1,width=32-64-64 --teacher-weights teacher.safetensors
  autodas-dsl distill student.py --teacher teacher.py --data train.npz --out runs/kd --alone
  autodas-dsl distill student.py --teacher teacher.py --data images/ --recipe recipe.toml"""


def _layers(value: Any) -> tuple[str, str]:
    """Two names of modules with a comma between them."""
    if isinstance(value, tuple):
        return value
    student, comma, teacher = str(value).partition(",")
    if not comma:
        raise click.BadParameter("give two modules, layer2,layer3")
    return student.strip(), teacher.strip()


@click.command("distill", epilog=_EPILOG)
@click.argument("student", metavar="STUDENT")
@options.teacher(required=True)
@options.teacher_weights
@trained_with(
    click.option("--loss", type=options.LOSS, default="kd", show_default=True, metavar="NAME",
                 help=f"{', '.join(LOSSES)}, FILE.proxy or a formula."),
    click.option("--weight", type=float, metavar="W",
                 help="Factor of the distillation loss.  [default: its usual one]"),
    click.option("--alpha", type=click.FloatRange(0, 1), default=0.9, show_default=True,
                 help="Share of kd; other losses are added."),
    click.option("--temperature", type=click.FloatRange(0, min_open=True), default=4.0,
                 show_default=True, help="Softens the logits of kd and dkd."),
    click.option("--hint-layers", type=_layers, default=("", ""), metavar="STUDENT,TEACHER",
                 help="Modules whose output is F.  [default: the last maps]"),
    click.option("--alone", is_flag=True,
                 help="Train the same student on the labels alone, too, to compare with."),
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    student: str,
    teacher: str,
    teacher_weights: str | None,
    loss: str,
    weight: float | None,
    hint_layers: tuple[str, str],
    alone: bool,
    **given: Any,
) -> None:
    """Train a student with a teacher.

    It learns from the labels and from what the teacher makes of the same inputs, and is tested on
    samples that were held out at random.
    """
    run = Given.of(ctx, given)
    run.check("student")

    from autodas_dsl.cli.networks import teacher_of
    from autodas_dsl.models.load import load_model
    from autodas_dsl.report.terminal import note, progress_bar
    from autodas_dsl.statistics.fingerprint import hash_tensors
    from autodas_dsl.training.distillation import distill, train

    source = load_model(student, "student", input_shape=run.input_shape, classes=run.classes)
    guide = teacher_of(teacher, teacher_weights, None, run.classes)
    assert guide is not None, "the option is required"
    samples = run.parts(source)
    note(f"student: {source.name}, {source.weights}")
    note(guide.note)
    network, expert = source.build(run.seed), guide.build(run.seed)
    told = samples.told | {
        "student": student, "teacher": teacher, "teacher's weights": hash_tensors(expert.state_dict()),
    }  # fmt: skip
    with progress_bar("distilling", run.steps(samples)) as advance:
        done = distill(
            network.to(run.device), expert.to(run.device), samples.train, loss=loss, weight=weight,
            hint_layers=hint_layers, validation=samples.validation, held_out=samples.test,
            recipe=run.recipe, seed=run.seed, checkpoint=run.checkpoint(told), progress=advance,
        )  # fmt: skip
    for text in done.notes:
        note(f"warning: {text}")
    row: dict[str, Any] = {
        "student": source.name, "teacher": guide.source.name, "loss": loss,
        **samples.counted(done), "teacher_accuracy": done.teacher_accuracy,
    }  # fmt: skip
    if alone:
        with progress_bar("on the labels alone", run.steps(samples)) as advance:
            lone = train(
                source.build(run.seed).to(run.device), samples.train, recipe=run.recipe,
                validation=samples.validation, held_out=samples.test, seed=run.seed,
                checkpoint=run.checkpoint(told, "alone-"), progress=advance,
            )  # fmt: skip
        row["alone_accuracy"] = lone.accuracy
    row["final_loss"] = done.losses[-1]
    own = {"loss": loss, "weight": weight, "hint_layers": ",".join(hint_layers).strip(",") or None}
    run.finish("student", student, samples, done, row, own)
