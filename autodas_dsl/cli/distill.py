"""``distill``: train one student with a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import device_of, teacher_of
from autodas_dsl.report.graph import keep_existing
from autodas_dsl.training.losses import LOSSES

if TYPE_CHECKING:
    from autodas_dsl.report.terminal import Row

_EPILOG = """\b
A loss is the library's formula of that name with the sign turned (`autodas-dsl show kd`). The whole
loss is (1 - alpha) cross-entropy + alpha weight L, by default with the loss's usual weight.

\b
Examples:
  autodas-dsl distill digits-resnet:depth=1-1-1,width=8-8-8 --data digits \\
    --teacher digits-resnet:depth=1-1-1,width=32-64-64 --teacher-weights teacher.safetensors
  autodas-dsl distill student.py --teacher teacher.py --data train.npz --out student.safetensors"""


@click.command("distill", epilog=_EPILOG)
@click.argument("student", metavar="STUDENT")
@options.teacher(required=True)
@options.teacher_weights
@click.option("--data", "data_spec", metavar="SOURCE", required=True,
              help="FILE.npz (x, y), a folder of images per class, digits or torchvision:NAME.")  # fmt: skip
@options.input_shape
@options.classes("what MODEL says")
@click.option("--samples", type=click.IntRange(2), metavar="N",
              help="Use only N samples, chosen by the seed.  [default: all]")  # fmt: skip
@click.option("--held-out", type=click.FloatRange(0, 1, max_open=True), default=0.25,
              show_default=True, metavar="SHARE", help="Share of the samples that is tested on.")  # fmt: skip
@click.option("--loss", type=options.LOSS, default="kd", show_default=True, metavar="NAME",
              help=f"{', '.join(LOSSES)}.")  # fmt: skip
@click.option("--weight", type=float, metavar="W",
              help="Factor of the distillation loss.  [default: its usual one]")  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 1), default=0.9, show_default=True,
              help="Share of the distillation loss; 0 trains on labels alone.")  # fmt: skip
@click.option("--temperature", type=click.FloatRange(0, min_open=True), default=4.0,
              show_default=True, help="Softens the logits of kd.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(["sgd", "adamw"]), default="sgd", show_default=True,
              help="sgd has Nesterov momentum 0.9.")  # fmt: skip
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=0.1,
              show_default=True, help="Highest rate, after warm-up and before the cosine.")  # fmt: skip
@click.option("--weight-decay", type=click.FloatRange(0), default=5e-4, show_default=True,
              help="Weight decay of the optimizer.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=350, show_default=True,
              help="Batches to train on.")  # fmt: skip
@click.option("--batch-size", "batch", type=click.IntRange(2), default=32, show_default=True,
              help="Samples in a batch.")  # fmt: skip
@options.seed
@options.device
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.safetensors",
              help="Write the trained weights.")  # fmt: skip
@options.force
@options.output_format
def command(
    student: str,
    teacher: str,
    teacher_weights: str | None,
    data_spec: str,
    input_shape: tuple[int, ...] | None,
    classes: int | None,
    samples: int | None,
    held_out: float,
    loss: str,
    weight: float | None,
    seed: int,
    device: str,
    out: Path | None,
    force: bool,
    format: str,
    **recipe: Any,
) -> None:
    """Train a student with a teacher.

    It learns from the labels and from what the teacher makes of the same inputs, and is tested on
    samples that were held out at random.
    """
    if out is not None:
        keep_existing(out, force)

    from autodas_dsl.data.batches import load_batch
    from autodas_dsl.models.load import load_model
    from autodas_dsl.report.terminal import Column, note, progress_bar, show
    from autodas_dsl.scoring.setting import NOISE, NOISE_NOTE
    from autodas_dsl.training.distillation import accuracy_of, distill
    from autodas_dsl.training.holdout import hold_out
    from autodas_dsl.training.recipe import Recipe

    source = load_model(student, "student", input_shape=input_shape, classes=classes)
    guide = teacher_of(teacher, teacher_weights, None, classes)
    assert guide is not None, "the option is required"
    where = device_of(device)
    batch = load_batch(
        data_spec, size=samples, seed=seed, input_shape=source.input_shape,
        classes=source.classes, everything=True,
    ).to(where)  # fmt: skip
    train, test = hold_out(batch, held_out, seed)
    note(f"data: {batch.source}", f"student: {source.name}, {source.weights}", guide.note)
    if data_spec == NOISE:
        note(NOISE_NOTE)
    network, expert = source.build(seed).to(where), guide.build(seed).to(where)
    with progress_bar("distilling", recipe["steps"]) as advance:
        trained = distill(
            network, expert, train, loss=loss, weight=weight, held_out=test,
            recipe=Recipe(**recipe), seed=seed, progress=lambda done, _: advance(done, ""),
        )  # fmt: skip
    row: Row = {
        "student": source.name, "teacher": guide.source.name, "loss": loss,
        "steps": recipe["steps"], "train": train.size, "held_out": test.size if test else 0,
        "accuracy": trained.accuracy,
        "teacher_accuracy": accuracy_of(expert, test) if test else None,
        "final_loss": trained.losses[-1],
    }  # fmt: skip
    show([row], [Column(key) for key in row], format)
    if out is not None:
        _save(trained.student, out)
        note(f"wrote {out}")


def _save(network: Any, out: Path) -> None:
    from safetensors.torch import save

    from autodas_dsl.language.files import write_atomic

    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomic(out, save(state))
