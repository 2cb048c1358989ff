"""A run is safe: journal, locks, interruption, full disks; with real processes and real signals."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import forked
from evolution_child import main
from evolution_tables import FEW, Fake, fake_task
from hypothesis import given, settings
from hypothesis import strategies as st

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.journal import Fact, Journal, decode, encode
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.run_folder import LOCK, RunFolder, differences
from autodas_dsl.language.errors import InputError

SHORT = replace(FEW, iterations=5, population=6, seed=9)
MOMENTS = 20


def final_files(folder: Path) -> dict[str, bytes]:
    """Everything a run leaves but the journal, whose lines have no order, and the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("journal.txt", LOCK)
    }


def start(folder: Path, **options: Any) -> subprocess.Popen[str]:
    return forked(partial(main, folder, **options))


def finish(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=120)
    return child.returncode, out, err


def wait_for(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        if line.split()[0] == word:
            return
    raise AssertionError(f"the process ended before it said {word!r}")


def code(caught: pytest.ExceptionInfo[InputError]) -> str:
    return caught.value.diagnostics[0].code


# --- journal ----------------------------------------------------------------------------------

FACT = Fact("digits-resnet", "selection", "sum(norm_F(W))")
OUTCOME = Outcome(np.array([1.5, np.nan, -1e300, 5e-324]), ("", "`log` gave NaN", "", ""))


def same(first: Outcome, second: Outcome) -> bool:
    return (
        np.array_equal(first.scores, second.scores, equal_nan=True)
        and first.reasons == second.reasons
    )


@settings(max_examples=100, deadline=None)
@given(st.text(), st.lists(st.floats(allow_infinity=False), max_size=6), st.text())
def test_a_line_reads_back_exactly(text: str, scores: list[float], reason: str) -> None:
    values = np.array(scores)
    outcome = Outcome(values, tuple(reason if np.isnan(v) else "" for v in values))
    line = encode(Fact("t", "selection", text), outcome)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = decode(line[:-1])
    assert found is not None
    assert found[0].text == text
    assert same(found[1], outcome)


def test_a_damaged_line_is_recognised() -> None:
    line = encode(FACT, OUTCOME)[:-1]
    for place in range(0, len(line), 7):
        assert decode(line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]) is None
    assert decode(b"") is None


def test_facts_survive_and_a_torn_tail_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.txt"
    other = replace(FACT, text="params")
    journal = Journal(path)
    journal.append([(FACT, OUTCOME), (other, OUTCOME)])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    torn = Journal(path)
    assert set(torn.facts) == {FACT}
    assert torn.dropped == 1
    torn.append([(other, OUTCOME)])
    torn.close()
    assert path.read_bytes() == whole


def test_a_damaged_line_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.txt"
    facts = [replace(FACT, text=str(number)) for number in range(3)]
    journal = Journal(path)
    journal.append((fact, OUTCOME) for fact in facts)
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[2] + b"nonsense\xff\n" + lines[0])
    again = Journal(path)
    again.close()
    assert set(again.facts) == {facts[0], facts[2]}
    assert again.dropped == 1


# --- the folder -------------------------------------------------------------------------------


def test_a_run_leaves_its_files(tmp_path: Path) -> None:
    run = evolve(SHORT, [fake_task()], folder=tmp_path / "a" / "run")
    folder = tmp_path / "a" / "run"
    assert run.folder == folder
    names = set(final_files(folder))
    assert {"run.json", "best.proxy", "best_sum.proxy", "hall_of_fame.csv", "history.csv"} <= names
    assert {f"pareto/{p.name}.proxy" for p in run.pareto} <= names
    described = json.loads((folder / "run.json").read_text())
    assert described["run"]["options"]["seed"] == SHORT.seed
    assert described["outcome"]["best"] == run.champion.formula
    assert described["outcome"]["evaluations"] == run.counts.evaluations


def test_the_same_run_leaves_the_same_bytes_and_resuming_a_finished_one_changes_none(
    tmp_path: Path,
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        evolve(SHORT, [fake_task()], folder=folder)
    assert final_files(one) == final_files(two)
    assert (one / "journal.txt").read_bytes() == (two / "journal.txt").read_bytes()
    fake = Fake()
    evolve(SHORT, [fake_task(evaluator=fake)], folder=one, resume=True)
    assert final_files(one) == final_files(two)
    assert fake.seen == []


def test_stopped_by_time_then_resumed_is_the_whole_run(tmp_path: Path) -> None:
    evolve(SHORT, [fake_task()], folder=tmp_path / "whole")
    part = evolve(replace(SHORT, max_time=0.0), [fake_task()], folder=tmp_path / "part")
    assert part.stopped == "time"
    assert final_files(tmp_path / "part") != final_files(tmp_path / "whole")
    evolve(SHORT, [fake_task()], folder=tmp_path / "part", resume=True)
    assert final_files(tmp_path / "part") == final_files(tmp_path / "whole")


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    evolve(SHORT, [fake_task()], folder=tmp_path)
    before = final_files(tmp_path)
    with pytest.raises(InputError) as caught:
        evolve(SHORT, [fake_task()], folder=tmp_path)
    assert code(caught) == "E601"
    assert final_files(tmp_path) == before


def test_changed_options_or_tables_are_refused(tmp_path: Path) -> None:
    evolve(SHORT, [fake_task()], folder=tmp_path)
    for config, task, said in (
        (replace(SHORT, seed=6, population=7), fake_task(), "options.seed was 9, is 6"),
        (SHORT, replace(fake_task(), fingerprint="other"), 'fingerprint was "made-up"'),
    ):
        with pytest.raises(InputError) as caught:
            evolve(config, [task], folder=tmp_path, resume=True)
        assert code(caught) == "E603"
        assert said in str(caught.value)


def test_a_longer_run_extends_a_shorter_one_to_the_same_bytes(tmp_path: Path) -> None:
    longer = replace(SHORT, iterations=9)
    evolve(longer, [fake_task()], folder=tmp_path / "whole")
    expected = final_files(tmp_path / "whole")
    for moment in ("finished", "stopped", "stopped again"):
        folder = tmp_path / moment
        seconds = None if moment == "finished" else 0.0
        evolve(replace(SHORT, max_time=seconds), [fake_task()], folder=folder)
        if moment == "stopped again":
            evolve(replace(longer, max_time=seconds), [fake_task()], folder=folder, resume=True)
        evolve(longer, [fake_task()], folder=folder, resume=True)
        assert final_files(folder) == expected, moment


def test_a_run_is_not_extended_otherwise(tmp_path: Path) -> None:
    evolve(SHORT, [fake_task()], folder=tmp_path)
    before = final_files(tmp_path)
    for config in (replace(SHORT, iterations=4), replace(SHORT, iterations=9, seed=6)):
        with pytest.raises(InputError) as caught:
            evolve(config, [fake_task()], folder=tmp_path, resume=True)
        assert code(caught) == "E603"
        assert final_files(tmp_path) == before


def test_the_command_is_there_before_the_run_is(tmp_path: Path) -> None:
    words = ["autodas-dsl", "evolve", "my table.csv"]
    with RunFolder(tmp_path).opened({"options": {"iterations": 2}}, resume=False, command=words):
        assert (tmp_path / "command.txt").read_text() == "autodas-dsl evolve 'my table.csv'\n"
    times = [(tmp_path / name).stat().st_mtime_ns for name in ("command.txt", "run.json")]
    assert times == sorted(times)
    with RunFolder(tmp_path).opened({"options": {"iterations": 3}}, resume=True):
        assert not (tmp_path / "command.txt").exists(), "it was that of the shorter run"


def test_differences_are_named() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "d": "x"}
    assert differences(before, before) == []
    now = {"a": {"b": 2, "c": [1, 3]}, "e": None}
    assert differences(before, now) == [
        "a.b was 1, is 2", "a.c[1] was 2, is 3", 'd was "x", is null'
    ]  # fmt: skip


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        evolve(SHORT, [fake_task()], folder=tmp_path / "none", resume=True)
    assert code(caught) == "E602"
    assert not (tmp_path / "none").exists()


def test_an_empty_folder_can_be_resumed(tmp_path: Path) -> None:
    """A process may die between making the folder and writing its first file."""
    run = evolve(SHORT, [fake_task()], folder=tmp_path, resume=True)
    assert run.stopped == "iterations"


def test_a_foreign_run_file(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError) as caught:
        evolve(SHORT, [fake_task()], folder=tmp_path, resume=True)
    assert code(caught) == "E606"
    assert (tmp_path / "run.json").read_text() == "[]"


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        evolve(SHORT, [fake_task()], folder=tmp_path / "file")
    assert code(caught) == "E605"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError) as caught:
        evolve(SHORT, [fake_task()], folder=tmp_path)
    assert code(caught) == "E605"


def test_the_second_process_is_refused_and_a_dead_one_leaves_no_lock(tmp_path: Path) -> None:
    with RunFolder(tmp_path).opened({}, resume=False):
        status, _, err = finish(start(tmp_path, resume=True))
        assert status == 1
        assert "E604" in err
    folder = tmp_path / "run"
    child = start(folder, pause=5)
    wait_for(child, "started")
    while not (folder / "run.json").exists():
        time.sleep(0.01)
    with pytest.raises(InputError) as caught:
        evolve(SHORT, [fake_task()], folder=folder, resume=True)
    assert code(caught) == "E604"
    child.kill()
    finish(child)
    status, _, err = finish(start(folder, resume=True, iterations=1))
    assert status == 1
    assert "E603" in err, "the lock of the dead process is gone, its options are not"


# --- interruption -----------------------------------------------------------------------------


def slowly(folder: Path) -> None:
    evolve(SHORT, [fake_task(evaluator=Fake(pause=0.005))], folder=folder, resume=True)


def test_killed_at_any_moment_a_resumed_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    began = time.monotonic()
    assert finish(forked(partial(slowly, whole)))[0] == 0
    length = time.monotonic() - began
    expected = final_files(whole)
    assert len(expected) > 4
    chance = random.Random(3)
    unfinished = 0
    for moment in range(MOMENTS):
        folder = tmp_path / str(moment)
        folder.mkdir()
        child = forked(partial(slowly, folder))
        time.sleep(length * chance.uniform(0.0, 1.1))
        child.kill()
        finish(child)
        unfinished += final_files(folder) != expected
        evolve(SHORT, [fake_task()], folder=folder, resume=True)
        assert final_files(folder) == expected, moment
    assert unfinished > MOMENTS // 4


def test_killed_between_two_renames(tmp_path: Path) -> None:
    """Any subset of the final files may be there already, with temporary ones beside them."""
    evolve(SHORT, [fake_task()], folder=tmp_path)
    files = final_files(tmp_path)
    started = json.dumps({"run": json.loads(files["run.json"])["run"]})
    for number, name in enumerate(files):
        (tmp_path / "run.json").write_text(started)
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / f".{Path(name).name}.abc.part").write_text("half")
        (tmp_path / "pareto" / "complexity_99.proxy").write_text("of an earlier state")
        evolve(SHORT, [fake_task()], folder=tmp_path, resume=True)
        assert final_files(tmp_path) == files, (number, name)


def test_ctrl_c_once_finishes_the_generation(tmp_path: Path) -> None:
    child = start(tmp_path, pause=0.05, iterations=100)
    wait_for(child, "2")
    child.send_signal(signal.SIGINT)
    status, out, _ = finish(child)
    assert status == 0
    assert out.splitlines()[-1] == "interrupt"
    names = set(final_files(tmp_path))
    assert {"best.proxy", "hall_of_fame.csv"} <= names


def test_ctrl_c_twice_stops_now_and_keeps_what_was_evaluated(tmp_path: Path) -> None:
    child = start(tmp_path, pause=1.5)
    wait_for(child, "started")
    while not (tmp_path / "journal.txt").exists():
        time.sleep(0.01)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    status, _, err = finish(child)
    assert status == 130
    assert "stopped now" in err
    assert not (tmp_path / "best.proxy").exists()
    assert finish(start(tmp_path, resume=True))[0] == 0


def test_a_full_disk_keeps_what_was_evaluated(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "full"
    assert finish(start(whole))[0] == 0
    status, _, err = finish(start(folder, limit=8000))
    assert status == 1
    assert "E605" in err
    assert "Traceback" not in err
    journal = Journal(folder / "journal.txt")
    journal.close()
    assert journal.facts
    assert set(final_files(folder)) == {"run.json"}
    assert finish(start(folder, resume=True))[0] == 0
    assert final_files(folder) == final_files(whole)


def test_what_is_wrong_with_a_folder_is_said_before_anything_is_collected(tmp_path: Path) -> None:
    RunFolder(tmp_path).probe(resume=False)
    RunFolder(tmp_path).probe(resume=True)
    RunFolder(tmp_path / "new" / "run").probe(resume=False)
    (tmp_path / "file").write_text("")
    evolve(SHORT, [fake_task()], folder=tmp_path / "run")
    for folder, resume, expected in (
        (tmp_path / "none", True, "E602"),
        (tmp_path / "run", False, "E601"),
        (tmp_path / "file", False, "E605"),
        (tmp_path / "file" / "run", False, "E605"),
    ):
        with pytest.raises(InputError) as caught:
            RunFolder(folder).probe(resume)
        assert code(caught) == expected
        if expected == "E605":  # nothing has been evaluated that --resume could use
            assert "choose another folder with --run" in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"inputs": ("F_t",)}, {"inputs": ("W",), "terms": "interaction"},
              {"seeds": ("rho_cnn",)}],
    ids=["E620", "E621", "E608"],
)  # fmt: skip
def test_a_search_that_cannot_begin_leaves_no_folder(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        evolve(replace(SHORT, **wrong), [fake_task()], folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
