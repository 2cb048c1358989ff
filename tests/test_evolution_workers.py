"""Worker processes: the same scores as without them, and nothing lost when one dies."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from evolution_tables import Deadly, Fake, stillborn

from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evolution.shards import Shard, Sharded, shards
from autodas_dsl.execution.jobs import DEADLY, InProcess
from autodas_dsl.execution.processes import Processes
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.parse import parse

NODES = [to_ir(parse(t)) for t in ("params", "sum(|W|_F)", "CKA([F_s, F_t])", "sqrt(flops)")]
PARTS = [(0, 10), (10, 17), (17, 20)]


WHOLE = [Shard(partial(Fake, stop - start, start), stop - start) for start, stop in PARTS]
HELD_OUT = [Shard(partial(Fake, 5, 20), 5)]
RISKY = [Shard(partial(Deadly, stop - start, start), stop - start) for start, stop in PARTS]


def test_nodes_are_the_same_nodes_after_pickling() -> None:
    assert pickle.loads(pickle.dumps(NODES)) == NODES


@pytest.mark.parametrize("n", [1, 31, 64, 100, 15_625])
def test_shards_cover_every_architecture_once(n: int) -> None:
    parts = shards(n)
    assert [row for part in parts for row in part] == list(range(n))
    assert len(parts) <= max(8, n // 128)
    assert all(parts)


def test_any_number_of_workers_gives_the_same_outcomes() -> None:
    here = Sharded(InProcess(), WHOLE)(NODES)
    whole = Fake(20)(NODES)
    for workers in (1, 2, 4):
        with Processes(workers) as executor:
            found = Sharded(executor, WHOLE)(NODES)
            held_out = Sharded(executor, HELD_OUT)(NODES[:1])
        for one, two, three in zip(found, here, whole, strict=True):
            assert np.array_equal(one.scores, two.scores, equal_nan=True)
            assert np.array_equal(one.scores, three.scores, equal_nan=True)
            assert one.reasons == two.reasons == three.reasons
        assert len(held_out[0].scores) == 5


def test_workers_share_the_formulas_of_a_single_shard() -> None:
    with Processes(2) as executor:
        evaluate = Sharded(executor, HELD_OUT)
        found = evaluate(NODES)
        alive = [worker is not None and worker.process.is_alive() for worker in executor.crew]
        fewer = evaluate(NODES[:1])
    assert alive == [True, True]
    expected = Fake(5, 20)(NODES)
    for one, other in zip([*found, *fewer], [*expected, expected[0]], strict=True):
        assert np.array_equal(one.scores, other.scores, equal_nan=True)
        assert one.reasons == other.reasons


def test_nothing_to_evaluate() -> None:
    assert Sharded(InProcess(), WHOLE)([]) == []
    with Processes(1) as executor:
        assert Sharded(executor, WHOLE)([]) == []


def test_a_formula_that_kills_two_workers_is_invalid_and_the_others_are_kept() -> None:
    deadly = to_ir(parse("params + layers"))
    with Processes(2) as executor:
        evaluate = Sharded(executor, RISKY)
        found = evaluate([NODES[0], deadly, NODES[1]])
        again = evaluate(NODES)
    assert found[1].reasons == (DEADLY,) * 20
    assert np.isnan(found[1].scores).all()
    for one, other in zip((found[0], found[2]), Fake(20)([NODES[0], NODES[1]]), strict=True):
        assert np.array_equal(one.scores, other.scores)
    assert np.array_equal(again[1].scores, found[2].scores)


def test_a_worker_that_is_killed_is_replaced() -> None:
    with Processes(1) as executor:
        evaluate = Sharded(executor, WHOLE)
        before = evaluate(NODES)
        worker = executor.crew[0]
        assert worker is not None
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGKILL)
        after = evaluate(NODES)
    for one, two in zip(before, after, strict=True):
        assert np.array_equal(one.scores, two.scores, equal_nan=True)
        assert one.reasons == two.reasons


def test_workers_that_cannot_start_are_an_error() -> None:
    with (
        Processes(1) as executor,
        pytest.raises(InputError, match="die as soon as they start"),
    ):
        Sharded(executor, [Shard(stillborn, 5)])(NODES[:1])


def test_workers_end_with_their_executor() -> None:
    with Processes(2) as executor:
        Sharded(executor, WHOLE)(NODES)
        alive = [w.process for w in executor.crew if w is not None]
        assert len(alive) == 2
    deadline = time.monotonic() + 10
    while any(process.is_alive() for process in alive) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(process.is_alive() for process in alive)


PARENT = """
import sys, time
from functools import partial
from evolution_tables import Fake
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evolution.shards import Shard, Sharded
from autodas_dsl.execution.processes import Processes
from autodas_dsl.language.parse import parse
if __name__ == "__main__":
    executor = Processes(2)
    shards = [Shard(partial(Fake, 5), 5), Shard(partial(Fake, 5, 5), 5)]
    Sharded(executor, shards)([to_ir(parse("params"))])
    print(*(worker.process.pid for worker in executor.crew), flush=True)
    time.sleep(60)
"""


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    status = Path(f"/proc/{pid}/stat")
    return (
        status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    )


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent)])
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert all(map(running, workers))
    parent.kill()
    deadline = time.monotonic() + 20
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = [pid for pid in workers if running(pid)]
    errors = parent.communicate()[1]
    assert left == []
    assert "Traceback" not in errors
