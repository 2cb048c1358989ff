"""Distillation losses compared on one student: top-1 on the test digits, mean over seeds.

    python benchmarks/losses.py [--seeds N] [--losses kd,at,…] [--scale S] [--student MODEL]

Every loss has its usual weight, or S times it, and the same recipe, that of the built-in table
digits-resnet with images moved by up to a pixel; nothing was chosen by looking at the test part.
The teacher is the table's. The student without a teacher starts from the same weights and sees the
same batches, so differences are paired: the last columns are their mean and its standard error.
"""

from __future__ import annotations

import argparse
import statistics

import torch

from autodas_dsl import distill, spaces, train
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.load import load_model
from autodas_dsl.scoring.setting import usual_teacher
from autodas_dsl.training.digits import digits
from autodas_dsl.training.feeding import parts_of
from autodas_dsl.training.loop import accuracy_of
from autodas_dsl.training.losses import LOSSES
from autodas_dsl.training.recipe import Recipe

STUDENT = "digits-resnet:depth=1-1-1,width=4-8-8"
RECIPE = Recipe(crop=1)
ALONE = "labels alone"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--losses", default=",".join(LOSSES))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--student", default=STUDENT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = load_model(options.student, "student")
    guide = usual_teacher(spaces.get("digits-resnet"))
    assert guide is not None
    teacher, data = guide.build(), digits()
    known = accuracy_of(teacher.eval(), parts_of(data.test))
    shown: dict[str, list[float]] = {}
    for name in (ALONE, *options.losses.split(",")):
        try:
            for seed in range(options.seeds):
                student = source.build(seed)
                if name == ALONE:
                    done = train(student, data.train, held_out=data.test, recipe=RECIPE, seed=seed)
                else:
                    done = distill(
                        student, teacher, data.train, loss=name, held_out=data.test, recipe=RECIPE,
                        weight=options.scale * LOSSES[name].factor, seed=seed,
                    )  # fmt: skip
                assert done.accuracy is not None
                shown.setdefault(name, []).append(done.accuracy)
        except InputError as unfit:
            print(f"{name:12} {unfit.diagnostics[0].message}", flush=True)
            continue
        found = shown[name]
        gains = [a - b for a, b in zip(found, shown[ALONE], strict=True)]
        spread, error = (statistics.stdev(c) if len(c) > 1 else 0.0 for c in (found, gains))
        print(
            f"{name:12} {statistics.mean(found):.4f} ± {spread:.4f}  "
            f"gain {statistics.mean(gains):+.4f} ± {error / len(gains) ** 0.5:.4f}",
            flush=True,
        )
    print(f"teacher {known:.4f}; {options.student}; {options.seeds} seeds; {RECIPE}")


if __name__ == "__main__":
    main()
