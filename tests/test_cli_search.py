"""``search``: students from the command line."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autodas_dsl.cli.entry import cli

SPACE = Path(__file__).with_name("tiny_space.py")
SMALL = (SPACE, "--data", "noise", "--batch-size", 4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["search", *map(str, words)])


def output(*words: object) -> Result:
    result = run(*words)
    assert result.exit_code == 0, (result.stderr, result.exception)
    return result


def test_the_table_says_what_was_scored_and_what_size_alone_gives() -> None:
    result = output(*SMALL, "-p", "-params", "--top", 2)
    lines = result.stdout.splitlines()
    assert "36 networks scored, all under the limits" in " ".join(lines)
    rows = [line.split() for line in lines if line.split()[:1] in (["student"], ["largest"])]
    assert [row[:3] for row in rows] == [
        ["student", "1", "1-1"], ["student", "2", "1-2"], ["largest", "36", "8-8"]
    ]  # fmt: skip
    assert "Kendall -1.000 between scores and parameters" in result.stdout
    assert "data: noise" in result.stderr
    assert f"next: autodas-dsl distill {SPACE}:1-1 --teacher MODEL" in result.stderr


def test_csv_is_the_rows_alone() -> None:
    result = output(*SMALL, "-p", "params", "--top", 1, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["role"] for row in rows] == ["student", "largest"]
    assert rows[0]["architecture"] == "8-8"
    assert rows[0]["params"] == "211"


def test_json_holds_everything() -> None:
    result = output(*SMALL, "-p", "params", "--max-params", "0.1k", "--format", "json")
    found = json.loads(result.stdout)
    assert found["best"][0]["params"] == found["largest"]["params"] == 94
    assert found["exhaustive"] is True
    assert found["invalid"] == {}
    assert found["size_agreement"] == pytest.approx(1.0)


def test_invalid_scores_are_counted_with_their_reason() -> None:
    words = (*SMALL, "-p", "|E_s - E_t|_F", "--teacher", f"{SPACE}:4-4")
    result = output(*words)
    assert "scores invalid: requires D_s = D_t" in result.stdout
    found = json.loads(output(*words, "--format", "json").stdout)
    assert found["largest"]["score"] is None
    assert sum(found["invalid"].values()) == 32


def test_an_operator_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from autodas_dsl.language.extend import Input, kind\n"
        "width = Input('own_width', kind(), 'Inputs of the head.', 'w', 'architecture',\n"
        "              collect=lambda model, batch: model.fc.in_features)\n"
    )
    from autodas_dsl.language import extend
    from autodas_dsl.language.inputs import INPUTS

    try:
        found = output(*SMALL, "-p", "own_width", "--with", path, "--format", "json")
        assert json.loads(found.stdout)["best"][0]["score"] == 16
    finally:
        INPUTS.pop("own_width", None)
        extend._LOADED.clear()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("tiny", "-p", "params"), "E710"),
        ((*SMALL, "-p", "params", "--max-params", 3), "E750"),
        ((*SMALL, "-p", "|E_s - E_t|_F", "--teacher", f"{SPACE}:8-8", "--max-params", 99), "E751"),
        ((*SMALL, "-p", "|F_t|_F"), "E444"),
        ((*SMALL, "-p", "sum(W)"), "E2"),
    ],
)  # fmt: skip
def test_wrong_input(words: tuple[object, ...], code: str) -> None:
    result = run(*words)
    assert result.exit_code == 1, result.stdout
    assert result.stdout == ""
    assert f"error[{code}" in result.stderr


def test_several_formulas_and_a_front_have_rows_of_their_own() -> None:
    words = (*SMALL, "-p", "params", "-p", "-snip", "--seeds", 2, "--pareto", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(output(*words, "--format", "csv").stdout)))
    assert [row["role"] for row in rows[:4]] == ["student", "student", "largest", "pareto"]
    assert float(rows[2]["params"]) == 211
    assert float(rows[2]["score params"]) == 211
    assert float(rows[2]["score"]) <= 1
    found = json.loads(output(*words, "--format", "json").stdout)
    assert [row["architecture"] for row in found["front"]] == [
        row["architecture"] for row in rows[3:]
    ]
    assert found["best"][0]["reason"] == ""


def test_a_latency_is_shown_with_its_spread() -> None:
    words = (*SMALL, "-p", "params", "--max-latency", "9s", "--budget", 3)
    head = output(*words).stdout
    assert re.search(r"[\d.]+ ms \([\d.]+–[\d.]+\)", head)
    one = json.loads(output(*words, "--format", "json").stdout)["best"][0]
    assert 0 < one["latency_low"] <= one["latency_ms"] <= one["latency_high"]
    said = run(*SMALL, "-p", "params", "--max-latency", "1us").stderr
    assert "error[E750]: no architecture of tiny has at most 0.001 ms" in said
    assert "the nearest miss is " in said


def test_the_best_is_exported(tmp_path: Path) -> None:
    words = (*SMALL, "-p", "params", "--export", tmp_path / "a b")
    result = output(*words)
    assert f"wrote {tmp_path / 'a b'}" in result.stderr
    assert f"distill {shlex.quote(str(tmp_path / 'a b' / 'student.py'))} --teacher" in result.stderr
    scored = CliRunner().invoke(
        cli, ["score", str(tmp_path / "a b" / "student.py"), "-p", "params"]
    )
    assert "211" in scored.stdout, scored.stderr
    assert "error[E680]" in run(*words).stderr
    output(*words, "--force")


@pytest.mark.parametrize("time", ["0ms", "5", "-3ms", "fast", "1h"])
def test_times_that_are_none(time: str) -> None:
    result = run(*SMALL, "-p", "params", "--max-latency", time)
    assert result.exit_code == 2
    assert "is no time such as" in result.stderr


@pytest.mark.parametrize("amount", ["0", "-3", "many", "1.5.2", "3x"])
def test_amounts_that_are_none(amount: str) -> None:
    result = run(*SMALL, "-p", "params", "--max-params", amount)
    assert result.exit_code == 2
    assert "is no positive count" in result.stderr


def test_the_next_step_can_be_pasted_into_a_shell() -> None:
    words = ("nasbench201", "-p", "params", "--budget", 1, "--batch-size", 2)
    said = output(*words).stderr.splitlines()[-1]
    _, _, _, student, option, _, *_ = shlex.split(said)
    assert student.startswith("nasbench201:|")
    assert option == "--teacher"


def test_the_help_names_the_next_step() -> None:
    assert "autodas-dsl distill SPACE:ARCH --teacher" in output("--help").stdout
