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
from autodas_dsl.compiler.layout import arrange
from autodas_dsl.compiler.wire import pack, unpack
from autodas_dsl.evolution.workers import KILLED, WorkerPool
from autodas_dsl.language.spans import InputError

load = partial(networks, torch.float32, 17)
ROOTS = [node(text) for text in CHOSEN]


@pytest.fixture(scope="module")
def expected() -> list[tuple[bytes, tuple[str, ...]]]:
    return [(o.scores.tobytes(), o.reasons) for o in Engine(load()).evaluate_early(ROOTS)]


@pytest.mark.parametrize("count", [2, 4])
def test_the_bytes_do_not_depend_on_who_has_which_shards(count: int, expected) -> None:
    nets = load()
    arrangement = arrange(nets)
    assert len(arrangement.shards) == 4
    scores = [np.full(len(nets), np.nan) for _ in ROOTS]
    for first in range(count):
        mine = range(first, 4, count)
        part = Engine(nets, arrangement=arrangement, shards=mine).evaluate(ROOTS)
        members = [n for shard in mine for n in arrangement.shards[shard]]
        for whole, outcome in zip(scores, part, strict=True):
            whole[members] = outcome.scores[members]
    for found, (wanted, reasons) in zip(scores, expected, strict=True):
        assert found.tobytes() == wanted or reasons[0]


def test_a_pool_gives_the_bytes_of_one_engine_and_survives_a_death(expected) -> None:
    with WorkerPool(load, 2) as pool:
        half = len(ROOTS) // 2
        found = pool(ROOTS[:half]) + pool(ROOTS[half:])
        assert [(o.scores.tobytes(), o.reasons) for o in found] == expected
        os.kill(pool.pids[0], signal.SIGKILL)
        again = pool(ROOTS[:5])
        assert [(o.scores.tobytes(), o.reasons) for o in again] == expected[:5]
        processes = [worker._process for worker in pool._workers]
        pool._workers[0]._pipe.close()  # as when the parent dies
        processes[0].join(30)
        assert processes[0].exitcode == 0
    assert processes[1].exitcode == 0
    assert pool.pids == []


def test_nodes_travel() -> None:
    assert unpack(pack(ROOTS)) == ROOTS


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
    with WorkerPool(partial(_suicidal, str(tmp_path)), 1) as pool:
        monkeypatch.setenv("spawned", "1")
        deadly = node("mean(mean(exp(W)))")
        first, bad, second = pool([ROOTS[1], deadly, ROOTS[3]])
        assert np.isnan(bad.scores).all()
        assert set(bad.reasons) == {KILLED}
        assert first.scores.tobytes() == expected[1][0]
        assert second.scores.tobytes() == expected[3][0]


def test_a_pool_needs_a_worker() -> None:
    with pytest.raises(InputError, match="0 workers"):
        WorkerPool(load, 0)
