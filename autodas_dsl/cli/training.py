"""What `distill` and `train` share: the options of a recipe, the parts of the data, the results."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from autodas_dsl.cli import options
from autodas_dsl.language.errors import InputError

if TYPE_CHECKING:
    from autodas_dsl.data.batches import Batch
    from autodas_dsl.models.source import ModelSource
    from autodas_dsl.report.terminal import Row
    from autodas_dsl.training.checkpoint import Checkpoint
    from autodas_dsl.training.distillation import Trained
    from autodas_dsl.training.recipe import Recipe

_NOT_OF_A_RECIPE = (
    "data_spec", "test_data", "input_shape", "classes", "samples", "teacher", "teacher_weights",
    "alone", "device", "out", "resume", "force", "format",
)  # fmt: skip
"""What belongs to one run, and to no other."""

_SHARE = click.FloatRange(0, 1, max_open=True)


def _read_recipe(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Let the file say what options are where the command line does not."""
    if path is None:
        return
    from autodas_dsl.training.recipe import read_recipe

    known = {
        option.opts[0].removeprefix("--").replace("-", "_"): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.name not in (param.name, *_NOT_OF_A_RECIPE)
    }
    found = {}
    for key, value in read_recipe(path, known).items():
        option = known[key]
        assert option.name is not None
        try:
            if isinstance(value, bool) != option.is_flag:
                raise click.BadParameter(f"{value!r} is not what it takes")
            found[option.name] = option.type_cast_value(ctx, value)
        except click.BadParameter as error:
            raise InputError(
                "E742", f"{path}: {key.replace('_', '-')}: {error.message}",
                "-h says which values an option takes",
            ) from error  # fmt: skip
    ctx.default_map = {**(ctx.default_map or {}), **found}


recipe_file = click.option(
    "--recipe", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.toml",
    is_eager=True, expose_value=False, callback=_read_recipe,
    help="Options in a file, `learning-rate = 0.05`; those given here come first.",
)  # fmt: skip


def trained_with(*own: options.Decorator) -> options.Decorator:
    """The options of both commands, those of the data first, `own` between them and the recipe."""
    shared_before = (
        recipe_file,
        click.option("--data", "data_spec", metavar="SOURCE", required=True,
                     help="FILE.npz (x, y), a folder of images per class, digits or torchvision:NAME."),
        click.option("--test-data", metavar="SOURCE",
                     help="Samples to test on; digits and torchvision:NAME give their test part."),
        options.input_shape,
        options.classes("what MODEL says"),
        click.option("--samples", type=click.IntRange(2), metavar="N",
                     help="Use only N samples, chosen by the seed.  [default: all]"),
        click.option("--held-out", type=_SHARE, metavar="SHARE",
                     help="Share of the samples that is tested on, once, in the end.  "
                     "[default: 0.25, with --test-data 0]"),
        click.option("--validation", type=_SHARE, default=0.1, show_default=True, metavar="SHARE",
                     help="Share of the samples that is looked at after each epoch."),
    )  # fmt: skip
    shared_after = (
        click.option("--optimizer", type=click.Choice(["sgd", "adamw"]), default="sgd",
                     show_default=True, help="sgd has Nesterov momentum 0.9."),
        click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=0.1,
                     show_default=True, help="Highest rate, after the warm-up."),
        click.option("--schedule", type=click.Choice(["cosine", "step", "constant"]),
                     default="cosine", show_default=True,
                     help="step: a tenth at half of the steps, and again at three quarters."),
        click.option("--warmup", type=click.FloatRange(0, 1), default=0.1, show_default=True,
                     metavar="SHARE", help="Share of the steps in which the rate climbs."),
        click.option("--weight-decay", type=click.FloatRange(0), default=5e-4, show_default=True,
                     help="Weight decay of the optimizer."),
        click.option("--steps", type=click.IntRange(1), default=350, show_default=True,
                     help="Batches to train on."),
        click.option("--epochs", type=click.IntRange(0), default=0, metavar="N",
                     help="Passes over the training samples, instead of --steps."),
        click.option("--batch-size", "batch", type=click.IntRange(2), default=32, show_default=True,
                     help="Samples in a batch."),
        click.option("--flip", is_flag=True, default=False, help="Mirror half of the images."),
        click.option("--crop", type=click.IntRange(0), default=0, metavar="PIXELS",
                     help="Move images by up to so many pixels, over zeros."),
        click.option("--patience", type=click.IntRange(0), default=0, metavar="EPOCHS",
                     help="Stop when validation gets no better for so long, and take the best."),
        click.option("--mixed-precision", is_flag=True, default=False,
                     help="Run in bfloat16, on a GPU only."),
        options.seed,
        options.device,
        click.option("--out", type=click.Path(path_type=Path), metavar="DIR|FILE.safetensors",
                     help="Write weights and a model file; a folder gets log, curve and "
                     "checkpoints, too."),
        click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out DIR."),
        options.force,
        options.output_format,
    )  # fmt: skip

    return options.together(*shared_before, *own, *shared_after)


@dataclass(frozen=True)
class Samples:
    """The parts of the data."""

    train: Batch
    validation: Batch | None
    test: Batch | None

    @property
    def told(self) -> dict[str, str]:
        """What a resumed run must share."""
        from autodas_dsl.statistics.fingerprint import hash_tensors

        return {"data": self.train.source, "samples": hash_tensors({"x": self.train.x})}

    def counted(self, done: Trained) -> dict[str, Any]:
        """The cells of a result that both commands have."""
        return {
            "steps": len(done.losses), "train": self.train.size,
            "validation": self.validation.size if self.validation else 0,
            "test": self.test.size if self.test else 0,
            "validation_accuracy": done.kept.validation_accuracy, "accuracy": done.accuracy,
        }  # fmt: skip


@dataclass(frozen=True)
class Given:
    """What both commands are told; `named` are the fields of the recipe that are options."""

    recipe: Recipe
    data_spec: str
    test_data: str | None
    input_shape: tuple[int, ...] | None
    classes: int | None
    samples: int | None
    held_out: float | None
    validation: float
    seed: int
    device: str
    out: Path | None
    resume: bool
    force: bool
    format: str
    named: tuple[str, ...]

    @classmethod
    def of(cls, ctx: click.Context, given: dict[str, Any]) -> Given:
        """What the command line and a recipe say; of steps and epochs one may be given."""
        from autodas_dsl.training.recipe import Recipe

        typed = [ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
                 for name in ("steps", "epochs")]  # fmt: skip
        if all(typed):
            raise click.UsageError("--steps and --epochs both say how long: give one of them")
        if typed[0]:
            given = {**given, "epochs": 0}
        own = {field.name: given[field.name] for field in fields(Recipe) if field.name in given}
        rest = {key: value for key, value in given.items() if key not in own}
        return cls(Recipe(**own), named=tuple(own), **rest)

    @property
    def folder(self) -> Path | None:
        """The folder of results, if there is to be one."""
        return self.out if self.out is not None and self.out.suffix != ".safetensors" else None

    def check(self, role: str) -> None:
        """Refuse places that hold something, and make the folder, before anything is trained."""
        from autodas_dsl.report.graph import keep_existing
        from autodas_dsl.report.terminal import note
        from autodas_dsl.report.trained import CHECKPOINT, SUFFIXES

        if self.resume and self.folder is None:
            raise click.UsageError("--resume needs --out DIR")
        if self.out is None:
            return
        if self.folder is None:
            for suffix in SUFFIXES:
                keep_existing(self.out.with_suffix(suffix), self.force)
            return
        if not self.folder.is_dir():
            keep_existing(self.folder, force=False)
            self.folder.mkdir()
        held = [self.folder / name for name in (CHECKPOINT, f"{role}.safetensors")]
        if self.resume:
            if not held[0].exists():
                note(f"nothing to resume in {self.folder}: the run begins")
            return
        for path in held:
            keep_existing(path, self.force)
        for path in self.folder.glob(f"*{CHECKPOINT}"):
            path.unlink()

    def parts(self, source: ModelSource) -> Samples:
        """The samples to train on, to look at after each epoch, and to test on."""
        from autodas_dsl.cli.networks import device_of
        from autodas_dsl.data.batches import hold_out, load_batch
        from autodas_dsl.execution.randomness import seed_for
        from autodas_dsl.report.terminal import note
        from autodas_dsl.scoring.setting import NOISE, NOISE_NOTE

        where = device_of(self.device)
        if self.test_data == self.data_spec and Path(self.data_spec).exists():
            raise InputError(
                "E759", f"{self.test_data} is what is trained on", "test on other samples"
            )
        told: dict[str, Any] = {
            "seed": self.seed, "input_shape": source.input_shape, "everything": True,
        }  # fmt: skip
        batch = load_batch(
            self.data_spec, size=self.samples, classes=source.classes, **told
        ).to(where)  # fmt: skip
        note(f"data: {batch.source}")
        if self.data_spec == NOISE:
            note(NOISE_NOTE)
        usual = 0.25 if self.test_data is None else 0.0
        rest, test = hold_out(batch, usual if self.held_out is None else self.held_out, self.seed)
        if self.test_data is not None:
            test = load_batch(
                self.test_data, test=True, like=batch, classes=batch.classes, **told
            ).to(where)  # fmt: skip
            note(f"test data: {test.source}")
        share = self.validation * batch.size / rest.size
        train, checked = hold_out(rest, share, seed_for(self.seed, "validation"))
        return Samples(train, checked, test)

    def steps(self, samples: Samples) -> int:
        from autodas_dsl.training.feeding import feed_of
        from autodas_dsl.training.loop import with_steps

        return with_steps(self.recipe, feed_of(samples.train, self.recipe, self.seed)).steps

    def checkpoint(self, told: dict[str, str], name: str = "") -> Checkpoint | None:
        from autodas_dsl.report.trained import CHECKPOINT
        from autodas_dsl.training.checkpoint import Checkpoint

        if self.folder is None:
            return None
        return Checkpoint(self.folder / f"{name}{CHECKPOINT}", self.resume, told=told)

    def finish(
        self, role: str, model: str, samples: Samples, done: Trained, row: Row,
        own: dict[str, Any],
    ) -> None:  # fmt: skip
        """Print the result, and write what was asked for."""
        from autodas_dsl.report.terminal import Column, note, show
        from autodas_dsl.report.trained import write_model, write_run
        from autodas_dsl.statistics.collect import classes_of

        if self.out is not None:
            path = self.out if self.folder is None else self.folder / f"{role}.safetensors"
            shape = tuple(samples.train.x.shape[1:])
            network = done.network.cpu()
            write_model(network, path, model, shape, classes_of(network, shape))
            if self.folder is not None:
                shares = {"validation": self.validation, "held_out": self.held_out}
                said = {name: getattr(self.recipe, name) for name in self.named}
                recipe = _by_option({**said, **own, **shares, "seed": self.seed})
                write_run(self.folder, done.log, row, recipe, str(row[role]))
        show([row], [Column(key) for key in row], self.format)
        if self.out is not None:
            note(f"wrote {self.out}")


def _by_option(values: dict[str, Any]) -> dict[str, Any]:
    """By the names of the options, each once that says something."""
    skipped = ("epochs",) if not values["epochs"] else ("steps",)
    named = {"batch": "batch_size"}
    return {named.get(key, key): value for key, value in values.items() if key not in skipped}
