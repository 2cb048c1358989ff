"""The commands that run networks: score, rank, evolve."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

import click
import numpy as np
import pytest
from commands import refused, run
from safetensors.torch import save_file

from autodas_dsl.spaces import get

MODEL = """
import torch
from torch import nn

input = (1, 8, 8)
classes = {classes}

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d({channels}, width, 3, padding=1)
        self.fc = nn.Linear(width, classes)
        if {nan}:
            nn.init.constant_(self.fc.weight, float("nan"))

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))

def build_model():
    return Net({width})

def models():
    return {{"small": Net(2), "large": Net(6)}}
"""
SPLIT = ("--split", "half", "--batch-size", "4")


@pytest.fixture
def model(tmp_path: Path):
    """Writes a model file and gives its path."""

    def write(name: str = "net.py", width: int = 4, classes: int = 10, nan: bool = False,
              channels: int = 1) -> Path:  # fmt: skip
        path = tmp_path / name
        path.write_text(MODEL.format(width=width, classes=classes, nan=nan, channels=channels))
        return path

    return write


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "batch.npz"
    np.savez(path, x=rng.standard_normal((6, 1, 8, 8)).astype(np.float32), y=np.arange(6))
    return path


# --- score --------------------------------------------------------------------------------------


def test_score_json_is_the_contract(model) -> None:
    small, large = model("a.py", 2), model("b.py", 6)
    result = run("score", small, large, "-p", "params", "-p", "-params", "--format", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [list(row) for row in rows] == [
        ["model", "proxy", "score", "valid", "reason", "rank"]
    ] * 4
    assert [(row["model"], row["proxy"], row["rank"]) for row in rows] == [
        (str(large), "params", 1), (str(small), "params", 2),
        (str(small), "-params", 1), (str(large), "-params", 2),
    ]  # fmt: skip
    assert rows[1]["score"] == 2 * 9 + 2 + 20 + 10


def test_score_says_that_noise_and_random_weights_were_used(model, batch: Path) -> None:
    result = run("score", model(), "digits-resnet:depth=1-1-1,width=4-4-4", "-p", "snip")
    assert result.exit_code == 0
    assert "noise and random labels stand in for real samples" in result.stderr
    assert "models: random weights" in result.stderr
    assert "models: weights as the file makes them" in result.stderr
    real = run("score", model(), "-p", "snip", "--data", batch)
    assert "stand in" not in real.stderr
    assert "data: batch.npz: all 6 samples" in real.stderr


def test_score_table_and_csv(model) -> None:
    file = model()
    table = run("score", f"{file}:models", "-p", "snip", "--batch-size", 4)
    assert table.stdout.split("\n")[0].split() == ["rank", "model", "proxy", "score"]
    assert f"{file}:models:large" in table.stdout
    several = run("score", file, "-p", "snip", "--format", "csv", "--seeds", 2, "--batch-size", 4)
    row = next(csv.DictReader(io.StringIO(several.stdout)))
    assert list(row) == ["model", "proxy", "score", "std", "valid", "reason", "rank"]
    assert float(row["std"]) > 0
    assert row["valid"] == "true"


BARE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(width, 10),
        )

    def forward(self, x):
        return self.layers(x)
"""


def test_score_is_told_the_arguments_the_shape_and_the_classes(tmp_path: Path) -> None:
    path = tmp_path / "bare.py"
    path.write_text(BARE)
    words = ("-p", "snip", "--batch-size", 4)
    assert f"write its arguments: '{path}:Net(width)'" in refused(
        run("score", path, *words), "E403", "defines the class Net"
    )
    net = f"{path}:Net(4)"
    refused(run("score", net, *words), "E428", "add --input-shape 3x32x32 --classes 10")
    refused(run("score", net, *words, "--input-shape", "3x8x8"), "E428", "add --classes 10")
    result = run("score", net, *words, "--input-shape", "3x8x8", "--classes", 10)
    assert result.exit_code == 0, result.output
    assert "inputs of shape 3x8x8" in result.stderr
    assert net in result.stdout
    wrong = run("score", net, *words, "--input-shape", "1x8x8", "--classes", 10)
    refused(wrong, "E440", "[4, 1, 8, 8]")


@pytest.mark.parametrize("shape", ["3,32,32", "3x", "0x8x8", "x", "3x-1x4", ""])
def test_shapes_that_are_none(shape: str) -> None:
    result = run("score", "cifar-resnet:1-1-1", "-p", "params", "--input-shape", shape)
    assert result.exit_code == 2
    assert "is no shape such as 3x32x32" in result.stderr


def test_score_builds_networks_of_other_classes() -> None:
    words = ("-p", "params", "--batch-size", 2, "--format", "json", "--teacher")
    usual, fewer = (
        json.loads(run("score", "cifar-resnet:1-1-1", *words, "cifar-resnet:1-1-1", *more).stdout)
        for more in ((), ("--classes", 10))
    )
    assert usual[0]["score"] - fewer[0]["score"] == 90 * 65


def test_score_counts_parameters_in_figures_that_people_read() -> None:
    words = ("score", "cifar-resnet:3-3-3", "-p", "params", "--batch-size", 2)
    assert "278,324" in run(*words).stdout
    assert "params = 278,324" in run(*words, "--explain").stdout
    assert ",params,278324.0," in run(*words, "--format", "csv").stdout
    assert json.loads(run(*words, "--format", "json").stdout)[0]["score"] == 278324.0


def test_score_repeats_with_its_seed(model) -> None:
    words = ("score", model(), "-p", "snip", "--batch-size", 4, "--format", "json", "--seed")
    first, again, other = (run(*words, seed).stdout for seed in (1, 1, 2))
    assert first == again != other


def test_score_in_float64_agrees_to_float32(model, batch: Path) -> None:
    words = ("score", model(), "-p", "mean(|grad W|_F)", "--data", batch, "--format", "json")
    single, double = (
        json.loads(run(*words, "--dtype", dtype).stdout)[0]["score"]
        for dtype in ("float32", "float64")
    )
    assert single != double
    assert math.isclose(single, double, rel_tol=1e-4)


def test_score_with_a_teacher_and_its_weights(model, batch: Path, tmp_path: Path) -> None:
    teacher = model("teacher.py", 6)
    words = ("score", model(), "-p", "kd", "--teacher", teacher, "--data", batch)
    plain = run(*words, "--format", "json")
    assert plain.exit_code == 0
    assert f"teacher: {teacher}, weights as the file makes them" in plain.stderr
    from autodas_dsl.models.load import load_models

    weights = tmp_path / "teacher.safetensors"
    save_file(load_models(str(teacher))[0].build(7).state_dict(), weights)
    trained = run(*words, "--teacher-weights", weights, "--format", "json")
    assert f"weights of {weights}" in trained.stderr
    assert json.loads(plain.stdout)[0]["score"] != json.loads(trained.stdout)[0]["score"]


def test_score_explains_what_each_layer_adds(model, batch: Path) -> None:
    words = ("score", model(), "-p", "mean(|grad W|_F) * 2", "--data", batch, "--explain")
    text = run(*words).stdout
    assert "F_s is output of conv" in text
    assert "E_s is input of fc" in text
    assert "P_s is output of the model" in text
    assert "2 Conv and Linear layers: conv, fc" in text
    found = json.loads(run(*words, "--format", "json").stdout)[0]
    (term,) = found["proxies"][0]["terms"]
    assert term["term"] == "mean(|grad W|_F)"
    assert [layer["layer"] for layer in term["layers"]] == ["conv", "fc"]
    added = sum(layer["share"] for layer in term["layers"])
    assert math.isclose(added, term["value"], rel_tol=1e-6)
    assert math.isclose(2 * term["value"], found["proxies"][0]["score"], rel_tol=1e-6)
    rows = list(csv.DictReader(io.StringIO(run(*words, "--format", "csv").stdout)))
    assert [row["layer"] for row in rows] == ["conv", "fc"]


def test_score_explains_only_the_outermost_layer_operations() -> None:
    from autodas_dsl.compiler.pipeline import to_ir
    from autodas_dsl.language.library import load
    from autodas_dsl.scoring.explain import core_text, outermost

    root = to_ir(load("sum(sum(|W|) / max(sum(|W|))) + mean(sum(W)) + L2(F_s, F_t)"))
    assert sorted(core_text(node) for node in outermost(root)) == [
        "mean(sum(W))", "sum(sum(|W|) / max(sum(|W|)))",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "formula",
    [
        "sum(|abs(W)|_*)",
        "mean(mean(norm_F[HW](logsoftmax[B](A)) * -0.5 - 1e-5))",
        "sum(mean(|abs(W) - W^2|) / (fan_in - -index))",
        "sum(mean(norm_inf[C](grad[split=4] W)))",
        "mean(mean(softmax[HW](A)))",
    ],
)
def test_terms_that_are_explained_read_back(formula: str) -> None:
    """Also those of the library, and to the same operation."""
    from autodas_dsl.compiler.pipeline import to_ir
    from autodas_dsl.language.parse import parse
    from autodas_dsl.scoring.explain import core_text, outermost

    for node in outermost(to_ir(parse(formula))):
        assert to_ir(parse(core_text(node))) is node


def test_library_terms_that_are_explained_read_back() -> None:
    from autodas_dsl.compiler.pipeline import to_ir
    from autodas_dsl.language.library import library_names, load
    from autodas_dsl.language.parse import parse
    from autodas_dsl.scoring.explain import core_text, outermost

    found = [node for name in library_names() for node in outermost(to_ir(load(name)))]
    assert len(found) > 10
    for node in found:
        assert to_ir(parse(core_text(node))) is node


def test_score_compiled_gives_the_same_score(model, batch: Path) -> None:
    words = ("score", model(), "-p", "sum(sum(|W| + W^2))", "--data", batch, "--format", "json")
    plain, compiled = (json.loads(run(*words, *more).stdout) for more in ((), ("--compile",)))
    assert math.isclose(plain[0]["score"], compiled[0]["score"], rel_tol=1e-5)


def test_compiling_without_a_compiler_is_an_error(model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    refused(run("score", model(), "-p", "params", "--compile"), "E462", "C++ compiler")


def test_score_gives_the_reason_of_an_invalid_score(model) -> None:
    words = ("score", model(), "-p", "log(-params)", "-p", "params")
    result = run(*words, "--format", "json")
    assert result.exit_code == 0
    invalid, params = json.loads(result.stdout)
    assert (invalid["score"], invalid["valid"], invalid["rank"]) == (None, False, None)
    assert invalid["reason"] == "`log` gave nan"
    assert params["valid"]
    assert "reason" in run(*words).stdout.split("\n")[0]


def test_score_of_a_model_with_nan_weights(model) -> None:
    good, bad = model(), model("bad.py", nan=True)
    told = refused(run("score", good, bad, "-p", "snip"), "E442", "fc.weight")
    assert told.startswith(f"{bad}: error"), told


@pytest.mark.parametrize(
    ("formula", "code", "message"),
    [
        ("sum(", "E109", "`(` is never closed"),
        ("snipp", "E201", "did you mean `snip`?"),
        ("softmx(W)", "E202", "did you mean `softmax`?"),
        ("W + X", "E207", ""),
        ("|grad W|_F", "E203", "the score must be one number"),
        ("nowhere.proxy", "E301", "cannot read nowhere.proxy"),
    ],
)
def test_score_of_a_wrong_formula(model, formula: str, code: str, message: str) -> None:
    refused(run("score", model(), "-p", "params", "-p", formula), code, message)


def test_score_lists_what_it_cannot_score(model) -> None:
    words = ("score", model(), "-p", "nwot", "-p", "synflow", "-p", "kd", "--batch-size", 4)
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    table, _, below = result.stdout.partition("not scored: ")
    assert "synflow" in table
    assert "nwot" not in table
    assert below.splitlines() == [
        "nwot: X: the network calls no activation module; X[all] takes functional activations too",
        "not scored: kd: P_t: there is no teacher to take it from; add --teacher MODEL",
    ]
    rows = {row["proxy"]: row for row in json.loads(run(*words, "--format", "json").stdout)}
    assert {name: row["valid"] for name, row in rows.items()} == {
        "nwot": False, "synflow": True, "kd": False
    }  # fmt: skip
    assert rows["kd"]["reason"].endswith("add --teacher MODEL")
    explained = run(*words, "--explain")
    assert explained.exit_code == 0, explained.stderr
    assert "kd = P_t: there is no teacher" in explained.stdout


def test_score_of_nothing_that_can_be_scored(model) -> None:
    result = run("score", model(), "-p", "nwot", "-p", "zen", "-p", "kd")
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.partition(" fits")[0] for line in result.stderr.splitlines()] == [
        "error[E461]: `nwot`", "error[E461]: `zen`", "error[E461]: `kd`"
    ]  # fmt: skip
    refused(run("score", model(), "-p", "kd"), "E444", "`kd` reads a teacher", "--teacher MODEL")


def test_score_of_maps_that_do_not_match(model) -> None:
    teacher = model("teacher.py", 6)
    refused(
        run("score", model(), "-p", "L2(F_s, F_t)", "--teacher", teacher),
        "E461", "requires C_s = C_t: student has 4, teacher 6; use align([F_s, F_t])",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("import nothing_of_the_kind", "E402", "line 1: ModuleNotFoundError"),
        ("model = 3", "E404", "int"),
        ("x = 1", "E403", "defines no model"),
        ("def build_model():\n    raise RuntimeError('broken')", "E403", "broken"),
    ],
)
def test_score_of_a_file_that_gives_no_model(
    tmp_path: Path, text: str, code: str, message: str
) -> None:
    file = tmp_path / "net.py"
    file.write_text(text + "\n")
    refused(run("score", file, "-p", "params"), code, message)


@pytest.mark.parametrize(
    ("text", "code"), [("nowhere.py", "E401"), ("what", "E409"), ("nope:1-2", "E710")]
)
def test_score_of_no_model(text: str, code: str) -> None:
    refused(run("score", text, "-p", "params"), code)


def test_score_on_data_that_do_not_fit(model, tmp_path: Path, batch: Path) -> None:
    rng = np.random.default_rng(0)
    wide = tmp_path / "wide.npz"
    np.savez(wide, x=rng.standard_normal((4, 3, 8, 8)).astype(np.float32), y=np.arange(4))
    refused(run("score", model(), "-p", "snip", "--data", wide), "E423", "[3, 8, 8]")
    few = model("few.py", classes=3)
    refused(run("score", few, "-p", "snip", "--data", batch), "E422", "classes 0 to 2")
    refused(run("score", model(), "-p", "snip", "--data", "nowhere.npz"), "E420")
    three = model("three.py", channels=3)
    refused(run("score", three, "-p", "snip", "--data", batch), "E440", "[6, 1, 8, 8]")


def test_score_with_teacher_options_but_no_teacher(model) -> None:
    refused(run("score", model(), "-p", "params", "--teacher-size", 8), "E411", "--teacher MODEL")


def test_score_with_a_teacher_of_several_networks(model) -> None:
    several = f"{model('many.py')}:models"
    refused(run("score", model(), "-p", "kd", "--teacher", several), "E410", "holds 2 models")


def test_score_on_a_device_that_is_not_there(model) -> None:
    for name in ("nonsense", "meta"):
        refused(run("score", model(), "-p", "params", "--device", name), "E412", "--device cpu")


# --- rank ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small architectures with invented accuracies that grow with the size."""
    space = get("digits-resnet")
    rng = np.random.default_rng(0)
    texts = sorted({space.format(space.sample(rng)) for _ in range(12)})
    path = tmp_path_factory.mktemp("table") / "small.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        stream.write("# space: digits-resnet\n")
        writer.writerow(["arch", "kd"])
        for text in texts:
            size = sum(p.numel() for p in space.build(space.parse(text)).parameters())
            writer.writerow([text, round(math.log(size), 6)])
    return path


TINY = Path(__file__).with_name("tiny_space.py")


@pytest.fixture
def untaught(tmp_path: Path) -> Path:
    """A table of a space that names no teacher, and whose networks have functional ReLUs."""
    path = tmp_path / "untaught.csv"
    rows = [f"{a}-{b},{a * b / 100}" for a in range(1, 5) for b in range(a, 5)]
    path.write_text("\n".join(["arch,kd", *rows]) + "\n")
    return path


RANK_KEYS = ["proxy", "n", "invalid", "kendall", "spearman", "pearson", "spearman_low",
             "spearman_high", "ndcg_10", "top_10", "split", "networks"]  # fmt: skip


def test_rank_json_is_the_contract(table: Path) -> None:
    result = run("rank", table, "-p", "-params", "--batch-size", 4, "--format", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [list(row) for row in rows] == [RANK_KEYS] * 3
    found = {row["proxy"]: row for row in rows}
    assert set(found) == {"params", "flops", "-params"}
    assert found["params"]["spearman"] == pytest.approx(1)
    assert found["-params"]["kendall"] == pytest.approx(-1)
    assert (found["params"]["ndcg_10"], found["params"]["top_10"]) == pytest.approx((1, 1))
    assert found["-params"]["top_10"] == pytest.approx(0.8)  # the ten smallest of twelve
    assert {row["networks"] for row in rows} == {"all"}
    assert "data: digits: 4 of " in result.stderr
    noise = run("rank", table, "-p", "snip", "--batch-size", 4, "--data", "noise")
    assert "stand in" in noise.stderr


def test_rank_and_table_info_tell_cells_that_ignore_their_input(tmp_path: Path) -> None:
    cell = "|{}~0|+|none~0|{}~1|+|none~0|none~1|nor_conv_1x1~2|"
    firsts, seconds = ("skip_connect", "nor_conv_3x3", "none"), ("skip_connect", "nor_conv_1x1",
                                                                 "avg_pool_3x3")  # fmt: skip
    rows = [f"{cell.format(a, b)},{i + 3 * k}" for i, a in enumerate(firsts)
            for k, b in enumerate(seconds)]  # fmt: skip
    path = tmp_path / "cells.csv"
    path.write_text("\n".join(["# space: nasbench201", "arch,acc", *rows, ""]))
    words = ("rank", path, "-p", "params", "--batch-size", 2, "--data", "noise")
    text = run(*words)
    assert text.exit_code == 0
    titles = [line for line in text.stdout.splitlines() if line.startswith("cells, ")]
    assert titles == ["cells, acc, all", "cells, acc, all, 6 of 9 that use their input"]
    rows_of = {form: run(*words, "--format", form).stdout for form in ("json", "csv")}
    found = json.loads(rows_of["json"])
    assert [(row["networks"], row["n"]) for row in found] == [("all", 9)] * 2 + [
        ("reachable", 6)
    ] * 2
    sheet = list(csv.DictReader(io.StringIO(rows_of["csv"])))
    assert [row["networks"] for row in sheet] == ["all", "all", "reachable", "reachable"]
    assert "output depends on the input: 6\n" in run("table", "info", path).stdout


def test_table_import_of_a_benchmark(tmp_path: Path) -> None:
    source, out = tmp_path / "nb.json", tmp_path / "nb.csv"
    source.write_text('[{"matrix": "0100", "ops": "input,output", "test_accuracy": 0.5}]')
    told = run("table", "import", "nasbench101", source, "--out", out)
    assert told.exit_code == 0
    assert "1 architectures, cifar10_test" in told.stderr
    assert out.read_text().splitlines()[-1] == '"matrix=01-00,ops=input-output",50'
    refused(run("table", "import", "nasbench101", source, "--out", out), "E680")
    refused(run("table", "import", "transnas", source, "--out", tmp_path / "t.csv"), "E538")
    refused(run("table", "import", "nasbench301", tmp_path / "no", "--out", tmp_path / "t.csv"),
            "E526")  # fmt: skip


def test_rank_table_lists_what_it_cannot_rank(table: Path) -> None:
    formulas = ("-p", "snip", "-p", "L2(F_s, F_t)")
    teacher = ("--teacher", "digits-resnet:depth=1-1-1,width=5-5-5")
    result = run("rank", table, *formulas, *teacher, "--batch-size", 4, "--limit", 6)
    assert result.exit_code == 0
    lines = result.stdout.split("\n")
    assert lines[0] == "small, kd, all"
    assert lines[1].split()[:4] == ["proxy", "n", "kendall", "spearman"]
    assert {line.split()[0] for line in lines[2:5]} == {"params", "flops", "snip"}
    assert "not ranked: L2(F_s, F_t): requires C_s = C_t: student has" in result.stdout


def test_rank_without_a_teacher_lists_what_needs_one(untaught: Path) -> None:
    words = ("rank", untaught, "--space", TINY, "--batch-size", 4)
    result = run(*words, "-p", "kd", "-p", "l2_norm", "-p", "zen")
    assert result.exit_code == 0, result.stderr
    assert "l2_norm" in result.stdout
    assert "not ranked: kd: P_t: there is no teacher to take it from; add --teacher MODEL" in (
        result.stdout
    )
    assert "not ranked: zen: S[noise]: the network has no BatchNorm layer" in result.stdout
    library = run(*words, "--library", "--without", "grasp,te_nas", "--format", "csv")
    assert library.exit_code == 0, library.stderr
    assert len(library.stdout.splitlines()) > 10
    refused(run(*words, "-p", "kd"), "E444", "add --teacher MODEL")


def test_rank_splits_samples_and_draws(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "plots"
    result = run("rank", table, "-p", "|params|", *SPLIT, "--format", "csv", "--plot", folder)
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["split"] for row in rows} == {"half"}
    assert {row["n"] for row in rows} == {"6"}
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 8
    assert {"summary.svg", "summary.png"} < set(names)


def test_a_place_for_plots_is_refused_before_anything_is_scored(
    table: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    result = run("rank", table, "-p", "params", "--plot", tmp_path / "file")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error[E690]" in result.stderr


def test_rank_sensitivity(table: Path) -> None:
    words = ("rank", table, "-p", "snip", "--data", "digits", "--batch-size", 4, "--limit", 6,
             "--sensitivity")  # fmt: skip
    found = {row["proxy"]: row for row in json.loads(run(*words, "--format", "json").stdout)}
    assert "labels" in found["snip"]["depends_on"]
    assert found["params"]["depends_on"] == ""
    text = run(*words).stdout
    assert "What the scores depend on" in text


def test_rank_refuses_what_it_cannot_read(table: Path, tmp_path: Path) -> None:
    refused(run("rank", "nowhere.csv", "-p", "snip"), "E501")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert run("rank", empty, "-p", "snip").exit_code == 1
    refused(run("rank", table, "-p", "snip", "--target", "speed"), "E511", "speed")
    refused(run("rank", table, "-p", "snip", "--split", "x"), "E530")


# --- evolve -------------------------------------------------------------------------------------

SMALL = ("--population", 6, "--elite", 2, "--iterations", 3, "--batch-size", 4)


def test_evolve_writes_a_run_and_reports_held_out(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ("evolve", table, *SMALL, "--format", "json")
    result = run(*words, "--run", folder)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert list(found) == [
        "best", "complexity", "selection", "held_out", "sum", "baselines", "run", "stopped"
    ]  # fmt: skip
    for half in ("selection", "held_out"):
        assert list(found[half]) == ["kendall", "spearman", "pearson", "n"]
        assert found[half]["n"] == 6
    beside = {row["proxy"]: row for row in found["baselines"]}
    assert {"params", "flops", "snip", "synflow", "rho_cnn_s0"} <= set(beside)
    assert beside["params"]["spearman"] == pytest.approx(1)
    assert "requires D_s = D_t" in beside["rho_cnn_s0"]["reason"]
    assert found["run"] == str(folder)
    assert found["stopped"] == "iterations"
    names = {path.name for path in folder.rglob("*")}
    assert {"best.proxy", "hall_of_fame.csv", "run.json", "search_curve.svg", "pareto.png",
            "scatter.svg", "comparison.png"} < names  # fmt: skip
    assert run("check", folder / "best.proxy").exit_code == 0

    before = (folder / "hall_of_fame.csv").read_bytes()
    again = run(*words, "--resume", folder)
    assert again.stdout == result.stdout
    assert (folder / "hall_of_fame.csv").read_bytes() == before


@pytest.mark.usefixtures("plain_runs")
def test_evolve_prints_the_formula_and_a_table(table: Path, tmp_path: Path) -> None:
    words = ("evolve", table, *SMALL, "--gradient-free", "--inputs", "W, E_s, F_s[-1, noise]")
    seeds = ("--seed-with", "sum(|W|_F), L2(E_s, E_s)")
    result = run(*words, *seeds, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.split("\n")
    assert run("check", lines[0]).exit_code == 0
    title = lines.index("small, kd: held-out architectures")
    assert lines[title - 1] == ""
    assert lines[title + 1].split()[:2] == ["proxy", "n"]
    summed = [line for line in lines[1:title] if line.startswith("sum: ")]
    assert len(summed) == sum(line.split()[:1] == ["sum"] for line in lines)
    assert "data: digits: 4 of " in result.stderr


UNTAUGHT = ("--space", TINY, "--inputs", "W,grad W", "--terms", "instinct", "--null-repeats", 0)


@pytest.mark.usefixtures("plain_runs")
def test_evolve_without_a_teacher_lists_the_baselines_that_need_one(
    untaught: Path, tmp_path: Path
) -> None:
    words = ("evolve", untaught, *SMALL, *UNTAUGHT)
    result = run(*words, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert "rho_cnn_s0: E_t: there is no teacher to take it from; add --teacher MODEL" in (
        result.stdout
    )
    told = run(*words, "--run", tmp_path / "csv", "--format", "csv", "--baselines", "params, zen")
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert [row["proxy"] for row in rows if row["proxy"] != "sum"] == ["best", "params", "zen"]
    assert "zen: S[noise]: the network has no BatchNorm layer" in told.stderr
    options = json.loads((tmp_path / "csv" / "run.json").read_text())["run"]
    assert options["baselines"] == ["params", "zen"]
    none = run(*words, "--run", tmp_path / "none", "--format", "json", "--baselines", "")
    assert json.loads(none.stdout)["baselines"] == []


@pytest.mark.usefixtures("plain_runs")
def test_evolve_about_the_student_alone_needs_no_teacher(untaught: Path, tmp_path: Path) -> None:
    words = (
        "evolve",
        untaught,
        *SMALL,
        "--space",
        TINY,
        "--null-repeats",
        0,
        "--baselines",
        "params",
    )
    result = run(*words, "--run", tmp_path / "run")
    refused(result, "E444", "E_t", "add --teacher MODEL, or --terms instinct")
    alone = run(*words, "--terms", "instinct", "--run", tmp_path / "alone")
    assert alone.exit_code == 0, alone.stderr


@pytest.mark.usefixtures("plain_runs")
def test_evolve_numbers_its_folders(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "small-1").mkdir(parents=True)
    result = run("evolve", table, *SMALL, "--inputs", "W", "--format", "csv")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "runs" / "small-2" / "best.proxy").is_file()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--strategy", "nsga3"], "E630", "nsga2"),
        (["--population", 1], "E631", "population"),
        (["--inputs", "W, grad Z"], "E622", "grad Z"),
        (["--operators", "softmx"], "E624", "softmax"),
        (["--seed-with", "sum("], "E109", "never closed"),
        (["--baselines", "params,snipp"], "E201", "did you mean `snip`?"),
        (["--target", "speed"], "E511", "speed"),
    ],
)
def test_evolve_refuses(
    table: Path, tmp_path: Path, options: list[str], code: str, message: str
) -> None:
    refused(run("evolve", table, *SMALL, *options, "--run", tmp_path / "run"), code, message)
    assert not (tmp_path / "run").exists()


def test_evolve_into_a_folder_that_cannot_be(table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("evolve", table, *SMALL, "--run", tmp_path / "file" / "run")
    refused(result, "E605")


def test_the_defaults_in_the_help_of_evolve_are_those_of_the_configuration() -> None:
    from autodas_dsl.cli.evolve import command
    from autodas_dsl.evolution.config import Config

    known = Config().as_json()
    ctx = click.Context(command)
    said = {
        p.name: found[1]
        for p in command.params
        if (record := p.get_help_record(ctx))
        and (found := re.search(r"default: ([^];]+)", " ".join(record)))
    }
    shared = set(said) & set(known) - {"target"}
    assert len(shared) > 8
    assert {name: said[name] for name in shared} == {name: str(known[name]) for name in shared}
