"""The commands distill, table and compile."""

from __future__ import annotations

import json
from pathlib import Path

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
    refused(run("table", "build", "digits-resnt"), "E722", "digits-resnet")
    refused(run("table", "build", "digits-resnet", "--limit", 2), "E723")


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
