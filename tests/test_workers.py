"""Workers: the same bytes for any number of them, and no death that stops a search."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_formulas import CHOSEN
from fake_networks import networks, node

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.wire import pack, unpack
from autodas_dsl.evolution import workers
from autodas_dsl.evolution.workers import KILLED, WorkerPool
from autodas_dsl.language.spans import InputError

load = partial(networks, torch.float32, 17)
ROOTS = [node(text) for text in CHOSEN]


@pytest.fixture(scope="module")
def expected() -> list[tuple[bytes, tuple[str, ...]]]:
    return [(o.scores.tobytes(), o.reasons) for o in Engine(load()).evaluate_early(ROOTS)]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_bytes_do_not_depend_on_the_number_of_workers(count: int, expected) -> None:
    with WorkerPool(load, count) as pool:
        half = len(ROOTS) // 2
        found = pool(ROOTS[:half]) + pool(ROOTS[half:])
        assert len(pool.pids) == count
    assert [(o.scores.tobytes(), o.reasons) for o in found] == expected


def test_nodes_travel() -> None:
    assert unpack(pack(ROOTS)) == ROOTS


def test_a_worker_that_dies_is_restarted(expected) -> None:
    with WorkerPool(load, 2) as pool:
        pool(ROOTS[:3])
        os.kill(pool.pids[0], signal.SIGKILL)
        again = pool(ROOTS[:5])
    assert [(o.scores.tobytes(), o.reasons) for o in again] == expected[:5]


def _suicidal(folder: str) -> list:
    """Statistics; a process that was spawned dies on `exp`, as long as the file is there."""
    if "spawned" in os.environ:
        real = torch.exp

        def deadly(x: torch.Tensor) -> torch.Tensor:
            if Path(folder, "deadly").exists():
                os.kill(os.getpid(), signal.SIGKILL)
            return real(x)

        torch.exp = deadly
    return load()


def test_a_formula_that_kills_two_workers_is_invalid(tmp_path, monkeypatch, expected) -> None:
    (tmp_path / "deadly").touch()
    with WorkerPool(partial(_suicidal, str(tmp_path)), 2) as pool:
        monkeypatch.setenv("spawned", "1")
        deadly = node("mean(mean(exp(W)))")
        first, bad, second = pool([ROOTS[1], deadly, ROOTS[3]])
        assert np.isnan(bad.scores).all()
        assert set(bad.reasons) == {KILLED}
        assert first.scores.tobytes() == expected[1][0]
        assert second.scores.tobytes() == expected[3][0]


def test_workers_end_when_the_pool_is_closed() -> None:
    pool = WorkerPool(load, 2)
    pool(ROOTS[:1])
    processes = [worker._process for worker in pool._workers]
    pool.close()
    assert not any(process.is_alive() for process in processes if process._popen is not None)
    assert pool.pids == []


def test_a_worker_ends_when_its_pipe_does() -> None:
    worker = workers._Worker(workers.WorkerPool(load, 1)._workers[0]._task)
    worker.ask(pack(ROOTS[:1]))
    assert worker.answer() is not None
    worker._pipe.close()
    worker._process.join(20)
    assert worker._process.exitcode == 0


def test_a_pool_needs_a_worker() -> None:
    with pytest.raises(InputError, match="0 workers"):
        WorkerPool(load, 0)
