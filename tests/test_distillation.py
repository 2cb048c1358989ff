"""A training run as people train: schedules, parts, streams, checkpoints, and what goes wrong."""

from __future__ import annotations

import doctest
import errno
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from children import forked
from distill_child import RECIPE, network, run
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import autodas_dsl
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.training import distillation
from autodas_dsl.training.augment import augmented, cropped
from autodas_dsl.training.criterion import criterion_of
from autodas_dsl.training.distillation import Trained, distill, train
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.watching import Watched

X = torch.randn(40, 1, 6, 6, generator=torch.Generator().manual_seed(3))
Y = torch.arange(40) % 4
QUICK = Recipe(steps=6, batch=8)


def state(done: Trained) -> dict[str, Tensor]:
    return done.network.state_dict()


def same(one: Trained, other: Trained) -> bool:
    numbers = [(t.losses, t.log, t.kept, t.accuracy) for t in (one, other)]
    equal = all(torch.equal(tensor, state(other)[name]) for name, tensor in state(one).items())
    return numbers[0] == numbers[1] and equal


# --- checkpoints ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    path = tmp_path_factory.mktemp("whole") / "c.safetensors"
    return path, run(path)


def test_a_run_that_was_killed_ends_with_the_same_bytes(
    tmp_path: Path, whole: tuple[Path, Trained]
) -> None:
    path = tmp_path / "c.safetensors"
    child = forked(lambda: run(path, progress=lambda step, _: print(step, flush=True)) and 0)
    assert child.stdout is not None
    assert next(line for line in child.stdout if int(line) == 17)
    child.kill()
    child.communicate()
    steps: list[int] = []
    done = run(path, resume=True, progress=lambda step, _: steps.append(step))
    assert 17 <= steps[0] < 40
    assert same(done, whole[1])
    assert path.read_bytes() == whole[0].read_bytes()


def test_checkpoints_change_nothing_and_a_finished_run_is_only_read(
    whole: tuple[Path, Trained],
) -> None:
    path, done = whole
    assert same(run(None), done)
    before = path.read_bytes()
    assert same(run(path, resume=True, progress=lambda *_: pytest.fail("it trains")), done)
    assert path.read_bytes() == before


@pytest.mark.parametrize("loss", ["crd", "kd"])
def test_a_run_resumed_at_any_step_is_the_whole_run(tmp_path: Path, loss: str) -> None:
    recipe = Recipe(steps=12, batch=8, flip=True)
    path = tmp_path / "c.safetensors"
    whole = run(None, recipe=recipe, loss=loss)

    class Stop(Exception):
        pass

    def at_seven(step: int, status: str) -> None:
        if step == 7:
            raise Stop

    with pytest.raises(Stop):
        run(path, recipe=recipe, loss=loss, progress=at_seven)
    assert same(run(path, resume=True, recipe=recipe, loss=loss), whole)


def test_a_run_with_other_options_is_not_resumed(whole: tuple[Path, Trained]) -> None:
    path, _ = whole
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"E746.*learning_rate is 0\.01 there and 0\.02 here"):
        run(path, resume=True, recipe=replace(RECIPE, learning_rate=0.02))
    with pytest.raises(InputError, match=r"E746.*loss is hints there and -KL"):
        run(path, resume=True, loss="kd")
    assert path.read_bytes() == before


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_a_damaged_checkpoint_is_refused_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: tuple[Path, Trained]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = whole[0].read_bytes()
    middle = len(data) - 100
    weights = tmp_path / "weights.safetensors"
    save_file({"x": torch.zeros(2)}, weights)
    wrong = (
        b"", data[:-1], data[:9], data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        data.replace(b"steps", b"stepz", 1), weights.read_bytes(), pickle.dumps(Evil()),
    )  # fmt: skip
    path = tmp_path / "c.safetensors"
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(InputError, match="E745"):
            run(path, resume=True)
        assert path.read_bytes() == content
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"
    kept: list[bytes] = []
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if kept:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        kept.append(content)
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"E517.*No space left"):
        run(path)
    monkeypatch.undo()
    assert path.read_bytes() == kept[0]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert same(run(path, resume=True), run(None))


@pytest.mark.parametrize(("loss", "labels", "factor"), [("kd", 0.25, 0.75), ("at", 1.0, 1000.0)])
def test_kd_takes_its_share_of_the_labels_and_other_losses_are_added(
    loss: str, labels: float, factor: float
) -> None:
    student, teacher = (
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)) for _ in "st"
    )
    recipe = Recipe(steps=1, batch=len(X), alpha=0.75 if loss == "kd" else 0.9)
    criterion, _ = criterion_of(loss, recipe)
    own, other = (
        Watched(n, who, criterion.statistics)(X, Y) for n, who in ((student, "s"), (teacher, "t"))
    )
    criterion.meet(own, other, None)
    whole = labels * F.cross_entropy(student(X), Y) + factor * criterion(own, other)
    done = distill(student, teacher, (X, Y), loss=loss, recipe=recipe)
    assert done.losses[0] == pytest.approx(whole.item(), rel=1e-5)


def test_a_loss_that_outweighs_the_labels_is_noted() -> None:
    for weight, said in ((1e6, True), (1e-3, False)):
        done = distill(network(0, 3), network(1, 3), (X, Y), loss="at", weight=weight, recipe=QUICK)
        assert any("they hardly count beside" in note for note in done.notes) == said


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    recipe = Recipe(steps=20, batch=8, learning_rate=1e6, weight_decay=0, warmup=0)
    with pytest.raises(InputError, match=r"E734.*step \d+.* keeps the last state that was finite"):
        run(path, recipe=recipe, loss="-exp(L2(P_s, P_t))")
    assert all(t.isfinite().all() for t in load_file(path).values())
    with pytest.raises(InputError, match=r"E734.*the loss is nan at step 1"):
        run(None, loss="log(-mean(|P_s|))")


# --- recipes --------------------------------------------------------------------------------------


def test_schedules() -> None:
    warm = [0.5, 1.0]

    def rates(schedule: str) -> list[float]:
        recipe = Recipe(steps=20, warmup=0.1, schedule=schedule)
        return [recipe.rate(step) for step in range(20)]

    assert rates("constant") == warm + [1.0] * 18
    assert rates("step") == pytest.approx(warm + [1.0] * 8 + [0.1] * 5 + [0.01] * 5)
    assert rates("cosine")[2:4] == [1.0, pytest.approx(0.5 * (1 + np.cos(np.pi / 18)))]


@pytest.mark.parametrize(("wrong", "what"), [
    ({"optimizer": "adamv"}, 'E737.*"adamv"\n.*mean "adamw"'),
    ({"schedule": "cosin"}, 'E742.*"cosin"\n.*mean "cosine"'),
    ({"alpha": 2.0}, "E742.*alpha is from 0 to 1, not 2"),
    ({"learning_rate": float("nan")}, "E742.*learning_rate"),
    ({"batch": 1}, "E742.*batch"),
])  # fmt: skip
def test_wrong_recipes(wrong: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        Recipe(**wrong)


def test_a_recipe_says_what_tables_say_and_what_is_unusual() -> None:
    usual = "optimizer sgd, learning_rate 0.1, weight_decay 0.0005, steps 350, batch 32, "
    usual += "warmup 0.1, temperature 4.0, alpha 0.9"
    assert str(Recipe()) == usual
    assert str(Recipe(crop=2)) == f"{usual}, crop 2"


def test_epochs_are_passes_over_the_examples() -> None:
    done = train(network(0, 3), (X, Y), recipe=Recipe(epochs=3, batch=16))
    assert len(done.losses) == 8  # 120 examples in batches of 16
    assert [(line.epoch, line.step) for line in done.log] == [(1, 3), (2, 5), (3, 8)]


def test_training_stops_where_it_gets_no_better_and_goes_back() -> None:
    wrong = (Y + 1) % 4  # the better it learns, the worse this is
    recipe = Recipe(epochs=20, batch=8, patience=2, learning_rate=0.5)
    done = train(network(0, 8), (X, Y), validation=(X, wrong), recipe=recipe)
    best = max(line.validation_accuracy or 0 for line in done.log)
    assert len(done.log) < 20
    assert done.log[-1].epoch == done.kept.epoch + 2
    assert done.kept.validation_accuracy == best
    again = train(network(0, 8), (X, Y), held_out=(X, wrong), recipe=replace(recipe, patience=0))
    assert again.kept == again.log[-1]
    with torch.no_grad():
        accuracy = (done.network(X).argmax(1) == wrong).double().mean().item()
    assert accuracy == pytest.approx(best)
    with pytest.raises(InputError, match="E758"):
        train(network(0, 3), (X, Y), recipe=recipe)


def test_mixed_precision_is_for_a_gpu() -> None:
    with pytest.raises(InputError, match="E757"):
        train(network(0, 3), (X, Y), recipe=replace(QUICK, mixed_precision=True))


# --- examples -------------------------------------------------------------------------------------


def test_images_are_mirrored_and_moved() -> None:
    x = torch.arange(1.0, 1 + 64 * 2 * 12).view(64, 2, 3, 4)
    torch.manual_seed(0)
    flipped = augmented(x, Recipe(flip=True))
    mirrored = [
        bool(torch.equal(one, other.flip(2))) for one, other in zip(flipped, x, strict=True)
    ]
    kept = [bool(torch.equal(one, other)) for one, other in zip(flipped, x, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48
    moved = cropped(x, 1)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    places = set()
    for one, image in zip(moved, padded, strict=True):
        found = [(i, j) for i in range(3) for j in range(3)
                 if torch.equal(one, image[:, i : i + 3, j : j + 4])]  # fmt: skip
        assert len(found) == 1
        places.update(found)
    assert len(places) == 9
    assert augmented(x, Recipe()) is x
    with pytest.raises(InputError, match="E756"):
        train(nn.Linear(5, 4), (torch.randn(8, 5), Y[:8]), recipe=replace(QUICK, crop=1))


class Drawn(Dataset[tuple[Tensor, int]]):
    """Examples that are changed at random each time they are read."""

    def __len__(self) -> int:
        return len(Y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return X[index] + 0.1 * torch.randn(1) + float(np.random.rand()), int(Y[index])  # noqa: NPY002


def test_a_loader_is_read_anew_in_every_epoch_and_resumed_exactly(tmp_path: Path) -> None:
    seen: list[Tensor] = []
    student = network(0, 3)
    student.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    loader = DataLoader(Drawn(), 16, shuffle=True)
    whole = train(student, loader, recipe=Recipe(epochs=2))
    batches = [x for x in seen[1:]]
    assert [len(x) for x in batches] == [16, 16, 8] * 2
    epochs = [torch.cat(batches[:3]), torch.cat(batches[3:])]
    assert not torch.equal(epochs[0].sort(0).values, epochs[1].sort(0).values)
    assert [line.step for line in whole.log] == [3, 6]
    path = tmp_path / "c.safetensors"

    class Stop(Exception):
        pass

    def at_five(step: int, status: str) -> None:
        if step == 5:
            raise Stop

    kept = autodas_dsl.training.checkpoint.Checkpoint(path, every=0.0)
    with pytest.raises(Stop):
        train(network(0, 3), loader, recipe=Recipe(epochs=2), checkpoint=kept, progress=at_five)
    resumed = replace(kept, resume=True)
    assert same(train(network(0, 3), loader, recipe=Recipe(epochs=2), checkpoint=resumed), whole)


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Any:
        return iter(zip(X, Y, strict=True))


@pytest.mark.parametrize("data", [
    (X, Y), (X.numpy(), Y.numpy()), TensorDataset(X, Y), DataLoader(TensorDataset(X, Y), 8),
    Stream(), DataLoader(Stream(), 8),
], ids=lambda data: type(data).__name__)  # fmt: skip
def test_plain_objects_of_torch_are_enough(data: Any) -> None:
    student, teacher = network(0, 3), network(1, 5)
    before = torch.get_rng_state()
    done = autodas_dsl.distill(student, teacher, data, validation=data, held_out=data, recipe=QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(done.losses) == 6
    assert done.accuracy == done.kept.validation_accuracy


def test_streams_that_cannot_be_taught_from() -> None:
    loader = DataLoader(TensorDataset(X, Y), 8)
    with pytest.raises(InputError, match="E749"):
        distill(network(0, 3), network(1, 5), loader, loss="crd", recipe=QUICK)
    later = DataLoader(TensorDataset(X, Y + (torch.arange(40) > 30)), 8)
    with pytest.raises(InputError, match=r"E736.*labels run from"):
        train(network(0, 3), later, recipe=QUICK)


# --- student and teacher --------------------------------------------------------------------------


def test_hint_layers_are_named_and_must_match() -> None:
    def hinted(*layers: str) -> Trained:
        return distill(
            network(0, 3),
            pooling(),
            (X, Y),
            loss="hints",
            hint_layers=layers,
            recipe=replace(QUICK, learning_rate=1e-3),
        )  # type: ignore[arg-type]

    def pooling() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 4, 3, padding=1),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4),
        )  # fmt: skip

    with pytest.raises(InputError, match=r"E747.*maps of 6x6, the teacher's 3x3"):
        hinted("", "")
    assert hinted("2", "1").losses
    with pytest.raises(InputError, match=r"E448.*'stem'"):
        hinted("stem", "1")


def test_a_teacher_no_better_than_chance_is_said() -> None:
    teacher = network(5, 8)
    (note,) = distill(network(0, 3), teacher, (X, Y), recipe=QUICK).notes
    assert "the teacher is no better than chance" in note
    signal = X + 3 * Y[:, None, None, None]
    train(teacher, (signal, Y), recipe=Recipe(steps=150, learning_rate=0.05))
    done = distill(network(0, 3), teacher, (signal, Y), held_out=(signal, Y), recipe=QUICK)
    assert done.notes == ()
    assert done.teacher_accuracy is not None
    assert done.teacher_accuracy > 0.5


def test_a_student_alone_sees_the_batches_of_one_that_is_taught() -> None:
    seen: list[list[Tensor]] = [[], []]
    for number, taught in enumerate((True, False)):
        student = network(0, 3)
        student.register_forward_pre_hook(
            lambda module, args, kept=seen[number]: kept.append(args[0].clone())
        )
        if taught:
            distill(student, network(1, 5), (X, Y), recipe=replace(QUICK, flip=True))
        else:
            train(student, (X, Y), recipe=replace(QUICK, flip=True))
    steps = [batches[-6:] for batches in seen]
    assert all(torch.equal(a, b) for a, b in zip(*steps, strict=True))


def test_stages_and_classifiers_can_be_compared() -> None:
    done = distill(
        network(0, 5), network(1, 5), (X, Y), recipe=QUICK,
        loss="-L2(V_s, V_t) - L2(l2norm(grad V_s), l2norm(grad V_t))",
    )  # fmt: skip
    assert len(done.losses) == 6
    with pytest.raises(InputError, match=r"E754.*F_s\[-9\].*stage"):
        distill(network(0, 3), network(1, 5), (X, Y), loss="-L2(F_s[-9], F_s)", recipe=QUICK)


class Rectified(nn.Module):
    """The map is changed by a function before it is pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize("module", [network(0, 3), Rectified()])
def test_what_is_watched_is_found_once_and_stays_the_same(module: nn.Module) -> None:
    wanted = [Statistic("F_s"), Statistic("E_s")]
    watched = Watched(module.eval(), "s", wanted)
    first = watched(X, Y)
    hooks = [m for m in module.modules() if m._forward_hooks]
    for _ in range(3):
        again = watched(X, Y)
        assert all(torch.equal(again[key], value) for key, value in first.items())
    assert hooks == [m for m in module.modules() if m._forward_hooks] == []
    assert set(first) == {*wanted, Statistic("P_s")}
    assert bool((first[Statistic("F_s")] >= 0).all())


def test_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(distillation).failed == 0
