"""Proposers and strategies of a user's own: text in, text out, and the journal remembers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run as command
from conftest import REPOSITORY
from evolution_tables import fake_task

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.journal import Journal, decode, decode_proposals, encode_proposals
from autodas_dsl.evolution.null import null_level
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.run_folder import LOCK, RunFolder
from autodas_dsl.language import extend, searchers
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import load_extension, register
from autodas_dsl.language.infer import never
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.searchers import OwnStrategy, Proposer, SearchState

EXAMPLE = REPOSITORY / "examples" / "my_proposer.py"
SHORT = Config(iterations=4, population=6, seed=5)


@pytest.fixture(autouse=True)
def tables_as_before() -> Iterator[None]:
    tables = (
        OPERATORS, ALIASES, INPUTS, searchers.PROPOSERS, searchers.OWN_STRATEGIES, extend._LOADED
    )  # fmt: skip
    before = [dict(table) for table in tables]
    yield
    for table, old in zip(tables, before, strict=True):
        table.clear()
        table.update(old)


def asking(**more: int) -> Config:
    """A search that asks the registered proposer."""
    return replace(SHORT, proposer="mine", **more)


class Saying:
    """A proposer that gives the same texts every time, and remembers what it was told."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.told: list[SearchState] = []
        register([Proposer("mine", self, "Says.")], "a test")

    def __call__(self, state: SearchState) -> Sequence[str]:
        self.told.append(state)
        return self.texts


class Moody:
    """A proposer that never says the same twice."""

    def __init__(self) -> None:
        self.calls = 0
        register([Proposer("mine", self, "Says.")], "a test")

    def __call__(self, state: SearchState) -> Sequence[str]:
        self.calls += 1
        power = random.SystemRandom().randrange(10**9) / 1e8
        return [f"sum(|W|_F) * {power} + mean(F_s)"] * state.wanted


def final_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("journal.txt", LOCK)
    }


def code(caught: pytest.ExceptionInfo[InputError]) -> str:
    return caught.value.diagnostics[0].code


# --- what is proposed -------------------------------------------------------------------------


def test_a_proposal_enters_and_its_tau_is_told() -> None:
    mine = Saying("mean(|W|_F) + mean(F_s)")
    evolve(asking(), [fake_task()])
    first, second, third, _ = mine.told
    assert (first.generation, first.wanted, first.answers) == (1, 1, ())
    assert first.statistics[:2] == ("W", "grad W")
    assert "sum" in first.operators
    assert first.max_complexity == 20
    taus = [tau for _, tau in first.archive]
    assert taus
    assert len(first.archive) <= 100
    (answer,) = second.answers
    assert answer.text == "mean(|W|_F) + mean(F_s)"
    assert answer.tau is not None
    assert answer.reason == ""
    assert third.answers[0].reason == "this formula was looked at before"
    assert answer.tau in [tau for _, tau in second.archive]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mean(W", "E1"),
        ("softmx(W)", "E202: there is no operator `softmx`; did you mean `softmax`?"),
        ("W", "E203: the score must be one number"),
        ("mean(Q)", "E201: there is no statistic"),
        ("params", "params is no statistic of this search"),
        ("L2(F_s, F_t)", "it requires C_s = C_t"),
        ("1", "it is a longer way"),
        ("+".join(["mean(F_s)"] * 40), "it has 119 nodes, of at most 20"),
        ("percentile(sum(mean(W)))", "it sees a population"),
        ("", "E1"),
        ("(" * 300, "E1"),
        ("\x1b[31m", "E1"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_formula_of_the_search_is_answered(text: str, reason: str) -> None:
    mine = Saying(text)
    found = evolve(asking(), [fake_task()])
    assert mine.told[1].answers[0].tau is None
    assert mine.told[1].answers[0].reason.startswith(reason)
    assert found.counts.evaluations > SHORT.population


def test_no_more_than_wanted_is_looked_at_and_refused_texts_leave_their_slots() -> None:
    plain = evolve(SHORT, [fake_task()])
    mine = Saying()
    silent = evolve(asking(), [fake_task()])
    assert silent.best.expression == plain.best.expression
    assert [step.evaluations for step in silent.steps] == [s.evaluations for s in plain.steps]
    mine.texts = ("mean(W)", "mean(|F_s|_F)", "mean(F_s)")
    evolve(asking(brood=2), [fake_task()])
    assert [len(state.answers) for state in mine.told[-4:]] == [0, 2, 2, 2]


def test_what_cannot_be_ranked_is_told_with_its_reason() -> None:
    mine = Saying("sqrt(sum(mean(W)))")
    evolve(asking(), [fake_task()])
    assert mine.told[1].answers[0].reason == "`sqrt` gave NaN"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda state: 1 / 0, "fails: ZeroDivisionError"),
        (lambda state: None, "does not give a list of texts"),
        (lambda state: "mean(W)", "does not give a list of texts"),
        (lambda state: [1], "does not give a list of texts"),
        (lambda: [], "fails: TypeError"),
    ],
)
def test_a_proposer_that_is_none_is_explained(function: object, said: str) -> None:
    register([Proposer("mine", function, "Says.")], "a test")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"E634.*{said}"):
        evolve(asking(), [fake_task()])


def test_an_unknown_proposer() -> None:
    with pytest.raises(InputError, match=r"E633.*`mine`(?s:.)*--with"):
        Config(proposer="mine")
    Saying()
    with pytest.raises(InputError, match=r"E633.*`mien`(?s:.)*did you mean `mine`"):
        Config(proposer="mien")


# --- the journal ------------------------------------------------------------------------------


def test_what_was_said_is_asked_once(tmp_path: Path) -> None:
    moody = Moody()
    evolve(asking(), [fake_task()], folder=tmp_path / "whole")
    assert moody.calls == 4
    expected = final_files(tmp_path / "whole")
    again = tmp_path / "again"
    again.mkdir()
    for name in ("journal.txt", "run.json"):
        (again / name).write_bytes((tmp_path / "whole" / name).read_bytes())
    evolve(asking(), [fake_task()], folder=again, resume=True)
    assert moody.calls == 4
    assert final_files(again) == expected


def test_a_run_that_was_stopped_asks_for_the_rest_only(tmp_path: Path) -> None:
    moody = Moody()
    evolve(asking(iterations=2), [fake_task()], folder=tmp_path)
    evolve(asking(), [fake_task()], folder=tmp_path, resume=True)
    assert moody.calls == 4
    lines = (tmp_path / "journal.txt").read_bytes().splitlines()
    assert sum(decode_proposals(line) is not None for line in lines) == 4
    assert all((decode(line) is None) != (decode_proposals(line) is None) for line in lines)


def test_lines_about_proposals_read_back_and_damaged_ones_are_dropped(tmp_path: Path) -> None:
    line = encode_proposals(("mine", 3), ["mean(W)", "\ud800\n"])
    assert line.count(b"\n") == 1
    assert decode_proposals(line[:-1]) == (("mine", 3), ("mean(W)", "\ud800\n"))
    for place in range(0, len(line) - 1, 5):
        bent = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 : -1]
        assert decode_proposals(bent) is None
    path = tmp_path / "journal.txt"
    for content in (["mine", "3", []], ["mine", 3, "mean(W)"], ["mine", 3, [1]], [3, 3, []], {}):
        body = json.dumps(content, separators=(",", ":")).encode()
        path.write_bytes(line[:0] + _signed(body) + line)
        journal = Journal(path)
        journal.close()
        assert journal.dropped == 1
        assert list(journal.proposals) == [("mine", 3)]


def _signed(body: bytes) -> bytes:
    from autodas_dsl.evolution.journal import _digest

    return _digest(body) + b" " + body + b"\n"


def test_searches_on_shuffled_accuracies_ask_anew() -> None:
    moody = Moody()
    null_level(asking(), [fake_task()], never, repeats=2)
    assert moody.calls == 8


def test_another_proposer_is_another_run(tmp_path: Path) -> None:
    Saying("mean(W)")
    evolve(asking(), [fake_task()], folder=tmp_path)
    with pytest.raises(InputError, match=r'E603.*options.proposer was "mine", is ""'):
        evolve(SHORT, [fake_task()], folder=tmp_path, resume=True)
    assert RunFolder(tmp_path).read().options["proposer"] == "mine"


# --- files ------------------------------------------------------------------------------------


def test_the_example_is_found_again_with_its_folder(tmp_path: Path) -> None:
    load_extension(EXAMPLE)
    config = replace(SHORT, proposer="norms", strategy="greedy", brood=2)
    one, two = (evolve(config, [fake_task()], folder=tmp_path / name) for name in ("a", "b"))
    assert final_files(tmp_path / "a") == final_files(tmp_path / "b")
    assert one.champion.formula == two.champion.formula
    assert np.isfinite(one.champion.individual.tau)
    described = json.loads((tmp_path / "a" / "run.json").read_text())["run"]
    assert set(described["extensions"]) >= {"norms", "greedy"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('p = Proposer("aging", print, "F.")', "E223.*already a strategy"),
        ('p = OwnStrategy("nsga", print, "F.")\nq = Proposer("nsga", print, "F.")', "E223.*nsga"),
        ('p = Proposer("no name", print, "F.")', "E223.*not a name"),
        ('p = Proposer("mine", print, " ")', "E224.*proposer `mine`: it has no definition"),
        ('p = Proposer("mine", [], "F.")', "E224.*no function"),
        ('p = OwnStrategy("mine", None, "F.")', "E224.*strategy `mine`.*no function"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, body: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"from autodas_dsl.language.extend import OwnStrategy, Proposer\n{body}\n")
    with pytest.raises(InputError, match=message):
        load_extension(file)
    assert searchers.PROPOSERS == {}


class Made:
    """A strategy whose parts are given."""

    def __init__(self, propose: object, select: object = lambda population, offspring: []) -> None:
        self.propose, self.select = propose, select


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda config: 1 / 0, "fails: ZeroDivisionError"),
        (lambda config: None, "fails: AttributeError"),
        (lambda config: Made(lambda population, make: ["mean(W)"]), "something else than formulas"),
        (lambda config: Made(lambda population, make: []), "something else than formulas"),
        (lambda config: Made(lambda population, make: [make.fresh(0)], lambda p, o: [1]),
         "something else than individuals"),
    ],
)  # fmt: skip
def test_a_strategy_that_is_none_is_explained(make: object, said: str) -> None:
    register([OwnStrategy("odd", make, "Odd.")], "a test")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"E635.*{said}"):
        evolve(Config(iterations=2, population=6, strategy="odd"), [fake_task()])


def test_the_command_line_names_what_it_does_not_know() -> None:
    found = command("evolve", "--proposer", "norms")
    assert found.exit_code == 1
    assert "error[E633]: there is no proposer `norms`" in found.stderr
    found = command("evolve", "--strategy", "greedy")
    assert "error[E630]: strategy is one of adaptive-elite, aging, nsga2, random" in found.stderr
