"""The commands distill, train, table and compile."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import refused, run

TEACHER = ("--teacher", "digits-resnet:depth=1-1-1,width=4-4-4")
STUDENT = "digits-resnet:depth=1-1-1,width=2-2-2"
QUICK = ("--data", "digits", "--samples", 60, "--steps", 3, "--batch-size", 8)


def test_distill_trains_and_writes_weights(tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    result = run("distill", STUDENT, *TEACHER, *QUICK, "--out", out, "--format", "json")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert (row["train"], row["validation"], row["test"], row["steps"]) == (39, 6, 15, 3)
    assert 0 <= row["accuracy"] <= 1
    assert "random weights" in result.stderr
    scored = run("score", STUDENT, "-p", "kd", "--teacher", STUDENT, "--teacher-weights", out)
    assert scored.exit_code == 0, scored.stderr
    refused(run("distill", STUDENT, *TEACHER, *QUICK, "--out", out), "E680", "--force")
    assert run("distill", STUDENT, *TEACHER, *QUICK, "--out", out, "--force").exit_code == 0


def test_distill_says_that_noise_stands_in() -> None:
    words = ("distill", STUDENT, *TEACHER, "--steps", 1, "--batch-size", 8, "--samples", 20)
    assert "noise and random labels stand in" in run(*words, "--data", "noise").stderr
    assert "noise" not in run(*words, "--data", "digits").stderr


def test_distill_is_told_what_the_model_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "bare.py"
    path.write_text("from torch import nn\ndef net(classes): return nn.Sequential("
                    "nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, classes))")  # fmt: skip
    words = ("distill", f"{path}:net(10)", "--teacher", f"{path}:net(10)", "--data", "noise",
             "--steps", 2)  # fmt: skip
    refused(run(*words), "E428", "add --input-shape")
    told = run(*words, "--input-shape", "1x8x8", "--classes", 10)
    assert told.exit_code == 0, told.output


def test_distill_refuses(tmp_path: Path) -> None:
    refused(run("distill", STUDENT, *TEACHER, *QUICK, "--loss", "kdd"), "E730", 'mean "kd"')
    hot = run("distill", STUDENT, *TEACHER, *QUICK, "--temperature", 5000)
    refused(hot, "E739", "a temperature of 5000", "from 0.01 to 1000")
    refused(
        run("distill", STUDENT, *TEACHER, "--data", "digits", "--samples", 2, "--held-out", 0.01),
        "E738",
    )
    refused(run("distill", STUDENT, "--teacher", "nope:1", *QUICK), "E710")


def test_distill_refuses_a_place_for_weights_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "none" / "w.safetensors", tmp_path / "file" / "w.safetensors"):
        result = run("distill", STUDENT, *TEACHER, *QUICK, "--out", place)
        refused(result, "E517")
        assert result.stdout == ""


def test_the_defaults_of_distill_and_train_are_those_of_the_recipe() -> None:
    from dataclasses import asdict

    from autodas_dsl.cli import distill, train
    from autodas_dsl.training.recipe import Recipe

    recipe = asdict(Recipe())
    for command, others in ((distill.command, set()), (train.command, {"temperature", "alpha"})):
        given = {p.name: p.default for p in command.params if p.name in recipe}
        assert given == {name: value for name, value in recipe.items() if name not in others}


TRAINED = ("--data", "digits", "--test-data", "digits", "--samples", 60, "--steps", 4)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_teacher_is_trained_and_a_student_of_it_beside_one_without(tmp_path: Path) -> None:
    teacher, out = tmp_path / "teacher", tmp_path / "student"
    done = run("train", STUDENT, *TRAINED, "--out", teacher, "--flip", "--format", "json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["train"], row["validation"], row["test"]) == (54, 6, 897)
    names = ["checkpoint.safetensors", "curve.png", "curve.svg", "log.csv", "model.py",
             "model.safetensors", "recipe.toml", "result.json"]  # fmt: skip
    assert sorted(contents(teacher)) == names
    assert json.loads((teacher / "result.json").read_text()) == row
    header, *lines = (teacher / "log.csv").read_text().splitlines()
    assert header == "epoch,step,learning_rate,loss,train_accuracy,validation_accuracy"
    assert [line.split(",")[:2] for line in lines] == [["1", "2"], ["2", "4"]]
    words = (
        "distill",
        STUDENT,
        "--teacher",
        teacher / "model.py",
        *TRAINED,
        "--alone",
        "--out",
        out,
    )
    done = run(*words, "--recipe", teacher / "recipe.toml", "--format", "json")
    assert done.exit_code == 0, done.stderr
    (taught,) = json.loads(done.stdout)
    assert taught["teacher_accuracy"] == row["accuracy"]
    assert taught["alone_accuracy"] == row["accuracy"]  # of the same weights, on the same batches
    assert "no better than chance" in done.stderr
    scored = run("score", out / "student.py", teacher / "model.py", "-p", "l2_norm")
    assert scored.exit_code == 0, scored.stderr
    before = contents(out)
    refused(run(*words, "--format", "json"), "E680", "--force")
    again = run(*words, "--recipe", teacher / "recipe.toml", "--format", "json", "--resume")
    assert again.stdout == done.stdout
    assert contents(out) == before
    other = run(*words, "--resume", "--alpha", 0.5)
    refused(other, "E746", "alpha is 0.9 there and 0.5 here")


def test_a_run_begins_where_there_is_nothing_to_resume(tmp_path: Path) -> None:
    words = ("train", STUDENT, *QUICK)
    assert run(*words, "--resume").exit_code == 2
    done = run(*words, "--resume", "--out", tmp_path / "new")
    assert done.exit_code == 0, done.stderr
    assert "nothing to resume" in done.stderr
    done = run(*words, "--force", "--out", tmp_path / "new")
    assert done.exit_code == 0, done.stderr


def test_the_model_file_finds_a_file_of_the_users(tmp_path: Path) -> None:
    place = tmp_path / "place"
    out = place / "deep" / "out.safetensors"
    out.parent.mkdir(parents=True)
    (place / "net.py").write_text(
        "from torch import nn\ninput = (1, 8, 8)\nclass Net(nn.Sequential):\n"
        "    def __init__(self, n):\n        super().__init__(nn.Flatten(), nn.Linear(64, n))\n"
    )
    done = run("train", f"{place / 'net.py'}:Net(10)", *QUICK, "--out", out)
    assert done.exit_code == 0, done.stderr
    place.rename(tmp_path / "moved")
    scored = run("score", tmp_path / "moved" / "deep" / "out.py", "-p", "l2_norm")
    assert scored.exit_code == 0, scored.stderr


def test_a_recipe_stands_below_the_command_line(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('steps = 2\nbatch-size = 8\nlearning_rate = 0.5\nloss = "at"\nflip = true\n')
    words = ("distill", STUDENT, *TEACHER, "--data", "digits", "--samples", 60, "--format", "json")
    (row,) = json.loads(run(*words, "--recipe", recipe, "--steps", 3).stdout)
    assert (row["steps"], row["loss"]) == (3, "at")
    (row,) = json.loads(run(*words, "--recipe", recipe, "--epochs", 1, "--loss", "kd").stdout)
    assert (row["steps"], row["loss"]) == (5, "kd")  # 39 samples in batches of 8
    assert run(*words, "--steps", 3, "--epochs", 1).exit_code == 2


def test_wrong_recipes(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    words = ("distill", STUDENT, *TEACHER, *QUICK, "--recipe", recipe)
    refused(run(*words), "E740", "No such file")
    for text, code, what in (
        (
            "learning-rat = 1",
            "E741",
            "no option `learning-rat`",
        ),
        ("out = 'x'", "E741", "no option `out`"),
        ("[sgd]\nrate = 1", "E741", "`[sgd]` is a table"),
        ("alpha = ", "E740", "is no TOML"),
        ("alpha = 2", "E742", "alpha: 2.0 is not in the range"),
        ("alpha = true", "E742", "alpha"),
        ("flip = 1", "E742", "flip"),
        ("optimizer = 'adamv'", "E742", "optimizer: 'adamv' is not one of"),
    ):
        recipe.write_text(text)
        refused(run(*words), code, what)
    recipe.write_text("learning-rat = 1")
    refused(run(*words), "E741", "mean `learning-rate`")


def test_a_loss_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my.proxy"
    path.write_text("proxy/1 my\n\nscore = -L2(l2norm(mm([E_s, E_t]))) - KL[T=2](P_s, P_t)\n")
    done = run("distill", STUDENT, *TEACHER, *QUICK, "--loss", path)
    assert done.exit_code == 0, done.stderr
    flat = run("distill", STUDENT, *TEACHER, *QUICK, "--loss", "mean(hamming(F_s))")
    refused(flat, "E743", "the operator `hamming` has no gradient")
    refused(run("distill", STUDENT, *TEACHER, *QUICK, "--loss", "sum(|grad W|_F)"), "E744")
    hot = run("distill", STUDENT, *TEACHER, *QUICK, "--loss", path, "--temperature", 2)
    refused(hot, "E753")


@pytest.mark.parametrize("loss", ["hints", "crd", "dkd"])
def test_every_kind_of_loss_trains(loss: str) -> None:
    done = run("distill", STUDENT, *TEACHER, *QUICK, "--loss", loss, "--learning-rate", 0.001)
    assert done.exit_code == 0, done.stderr


def test_what_cannot_be_trained_on(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 1, 8, 8), np.float32), y=np.arange(9))
    data = tmp_path / "a.npz"
    refused(run("train", STUDENT, "--data", data, "--test-data", data), "E759")
    refused(run("train", STUDENT, *QUICK, "--patience", 2, "--validation", 0), "E758")
    refused(run("train", STUDENT, *QUICK, "--mixed-precision"), "E757")
    layers = ("--loss", "hints", "--hint-layers", "stem,nowhere")
    refused(run("distill", STUDENT, *TEACHER, *QUICK, *layers), "E448")


def test_table_info() -> None:
    text = run("table", "info", "digits-resnet").stdout
    assert "96 architectures" in text
    assert "noise ceiling" in text
    found = json.loads(run("table", "info", "digits-resnet", "--format", "json").stdout)
    assert found["architectures"] == 96
    assert [column["name"] for column in found["columns"]] == ["vanilla", "kd"]
    refused(run("table", "info", "digits-resne"), "E501", "digits-resnet")


def test_table_import(tmp_path: Path) -> None:
    lines = tmp_path / "kd.txt"
    lines.write_text("".join(f"{a}1{b} {70 + a + b}.25\n" for a in (1, 3, 5) for b in (1, 3)))
    out = tmp_path / "out.csv"
    done = run("table", "import", "diswot", "--kd", lines, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "6 architectures, kd" in done.stderr
    assert json.loads(run("table", "info", out, "--format", "json").stdout)["architectures"] == 6
    refused(run("table", "import", "diswot", "--kd", lines, "--out", out), "E680")
    refused(run("table", "import", "diswot", "--out", tmp_path / "new.csv"), "E522")
    assert not (tmp_path / "new.csv").exists()


def test_table_build_refuses(tmp_path: Path) -> None:
    refused(run("table", "build", "digits-resnt"), "E710", "digits-resnet")
    refused(run("table", "build", "digits-resnet", "--sample", 2), "E723")


# --- compile ------------------------------------------------------------------------------------


def test_compile_prints_what_runs() -> None:
    from autodas_dsl.compiler.pipeline import build, to_ir
    from autodas_dsl.language.library import load

    text = run("compile", "snip").stdout
    assert text.startswith("# sum(sum(|W * grad W|))\n\n")
    assert build([to_ir(load("snip"))]).source in text
    compile(text, "snip", "exec")
    assert run("compile", "1 + 1").stdout == "# 1 + 1\n# constant: 2.0\n"


def test_compile_of_a_wrong_formula() -> None:
    refused(run("compile", "sum("), "E109")
