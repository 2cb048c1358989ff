"""Work on a Ray cluster of two nodes: the bytes of local work, whatever dies in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from small_jobs import Doubling, Dying, Waiting, lambda_state, refusing

from autodas_dsl.cli.entry import cli
from autodas_dsl.execution.cluster import Ray
from autodas_dsl.execution.jobs import Executor, InProcess, Job, Lost, persistent
from autodas_dsl.language.errors import InputError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install autodas-dsl[ray]")

MEMORY = 80 << 20
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500,
         "health_check_failure_threshold": 3}  # fmt: skip
HERE = Path(__file__).parent


@dataclass
class Nodes:
    """A cluster without processors on its head, and two nodes with one each."""

    cluster: Any
    alive: list[Any] = field(default_factory=list)

    def restored(self) -> None:
        while len(self.alive) < 2:
            self.alive.append(self.cluster.add_node(wait=False, **NODE))
        self.cluster.wait_for_nodes()

    def kill_one(self) -> None:
        self.cluster.remove_node(self.alive.pop(0), allow_graceful=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        paths = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        patch.setenv("PYTHONPATH", paths)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        head = {**NODE, "num_cpus": 0, "_system_config": QUICK}
        found = Nodes(Cluster(initialize_head=True, head_node_args=head))
        patch.setenv("RAY_ADDRESS", found.cluster.address)
        found.restored()
        ray.init(address=found.cluster.address, log_to_driver=False, logging_level="ERROR")
        yield found
        ray.shutdown()
        found.cluster.shutdown()


@pytest.fixture(scope="module")
def both(nodes: Nodes) -> Iterator[Executor]:
    """One executor for the tests in which no node is lost."""
    with Ray() as executor:
        yield executor


def sum_of(executor: Executor, jobs: Any) -> dict[int, Any]:
    return dict(persistent(executor, jobs))


def test_a_cluster_has_a_worker_for_each_processor_with_one_thread(
    tmp_path: Path, both: Executor
) -> None:
    state = Doubling(tmp_path / "log")
    found = sum_of(both, (Job(state, number, number % 4) for number in range(12)))
    assert both.workers == 2
    assert {number: value[0] for number, value in found.items()} == {n: 2 * n for n in range(12)}
    ran = {number: value[1] for number, value in found.items()}
    assert len(set(ran.values())) == 2
    assert all(ran[number] == ran[number % 2] for number in range(12)), "places are kept"
    assert {value[2] for value in found.values()} == {1}
    assert len((tmp_path / "log").read_text().split()) == 2, "each worker makes it once"


def test_diagnostics_come_back_and_the_workers_go_on(both: Executor) -> None:
    with pytest.raises(InputError, match="E999.*one is refused"):
        sum_of(both, [Job(refusing, 1)])
    assert sum_of(both, [Job(refusing, 3)]) == {0: 3}


def test_a_worker_that_is_killed_loses_no_job(tmp_path: Path, both: Executor) -> None:
    found = sum_of(both, (Job(Dying(tmp_path, (3,), 1), number) for number in range(6)))
    assert found == {n: 2 * n for n in range(6)}


def test_a_job_that_ends_two_workers_is_lost_and_the_others_are_not(
    tmp_path: Path, both: Executor
) -> None:
    state = Dying(tmp_path, (1,), 9)
    found = sum_of(both, (Job(state, number) for number in range(4)))
    assert isinstance(found.pop(1), Lost)
    assert found == {0: 0, 2: 4, 3: 6}
    assert len(list(tmp_path.iterdir())) == 2


def test_work_that_cannot_travel_is_a_diagnostic(both: Executor) -> None:
    with pytest.raises(InputError, match="E780.*cannot be sent to workers"):
        sum_of(both, [Job(Waiting(Path(), threading.Lock()), 1)])
    with pytest.raises(InputError, match=r"E781.*ModuleNotFoundError.*only_here"):
        sum_of(both, [Job(only_here(), 1)])
    assert sum_of(both, [Job(lambda_state(), 4)]) == {0: 5}, "Ray pickles functions by value"
