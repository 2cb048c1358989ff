"""Work on a Ray cluster of two nodes: the bytes of local work, whatever dies in the middle of it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_jobs import Doubling, Dying, Locked, Slow, Slowly, adding, refusing

from autodas_dsl.evaluation.rank import rank
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.session import search
from autodas_dsl.evolution.watch import Watch
from autodas_dsl.execution import cluster
from autodas_dsl.execution.cluster import Ray, Server
from autodas_dsl.execution.executors import executor_of
from autodas_dsl.execution.jobs import Executor, Job, Lost, persistent
from autodas_dsl.execution.serving import Said
from autodas_dsl.execution.versions import versions
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import load
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.setting import Data, Setting
from autodas_dsl.students.find import find_student
from autodas_dsl.tables.table import Table
from autodas_dsl.training.build import build_table
from autodas_dsl.training.recipe import Recipe

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install autodas-dsl[ray]")

HERE = Path(__file__).parent
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500,
         "health_check_failure_threshold": 3}  # fmt: skip


@dataclass
class Nodes:
    """A cluster whose head has no processors, and two nodes with one each."""

    cluster: Any
    alive: list[Any] = field(default_factory=list)

    def restore(self) -> None:
        while len(self.alive) < 2:
            self.alive.append(self.cluster.add_node(wait=False, **NODE))
        self.cluster.wait_for_nodes()

    def kill_one(self) -> None:
        self.cluster.remove_node(self.alive.pop(0), allow_graceful=False)


@pytest.fixture(scope="module")
def cluster_of_two() -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # 15 would starve beside other tests
        head = {**NODE, "num_cpus": 0, "_system_config": QUICK}
        nodes = Nodes(Cluster(initialize_head=True, head_node_args=head))
        patch.setenv("RAY_ADDRESS", nodes.cluster.address)
        nodes.restore()
        ray.init(address=nodes.cluster.address, log_to_driver=False, logging_level="ERROR")
        yield nodes
        ray.shutdown()
        nodes.cluster.shutdown()


@pytest.fixture
def nodes(cluster_of_two: Nodes) -> Nodes:
    cluster_of_two.restore()
    return cluster_of_two


def sum_of(executor: Executor, jobs: Any) -> dict[int, Any]:
    return dict(persistent(executor, jobs))


@pytest.fixture(scope="class")
def both(cluster_of_two: Nodes) -> Iterator[Executor]:
    with executor_of("ray") as executor:
        yield executor


class TestWorkers:
    """One executor for the tests in which no node is lost."""

    def test_one_for_each_processor_with_one_thread(self, tmp_path: Path, both: Executor) -> None:
        state = Doubling(tmp_path / "log")
        found = sum_of(both, (Job(state, number, number % 4) for number in range(12)))
        assert both.workers == 2
        assert {n: value[0] for n, value in found.items()} == {n: 2 * n for n in range(12)}
        ran = {number: value[1] for number, value in found.items()}
        assert len(set(ran.values())) == 2
        assert all(ran[number] == ran[number % 2] for number in range(12)), "places are kept"
        assert {value[2] for value in found.values()} == {1}
        assert len((tmp_path / "log").read_text().split()) == 2, "each worker makes it once"

    def test_a_diagnostic_comes_back_and_work_goes_on(self, both: Executor) -> None:
        with pytest.raises(InputError, match=r"E999.*one is refused"):
            sum_of(both, [Job(refusing, 1)])
        assert sum_of(both, [Job(refusing, 3)]) == {0: 3}

    def test_what_does_not_travel_is_a_diagnostic(self, both: Executor) -> None:
        with pytest.raises(InputError, match=r"E780.*cannot be sent to workers.*lock"):
            sum_of(both, [Job(Locked(threading.Lock()), 1)])
        assert sum_of(both, [Job(lambda: adding(1), 4)]) == {0: 5}, "functions go by value"

    def test_what_ends_one_worker_is_run_again_and_what_ends_two_is_lost(
        self, tmp_path: Path, both: Executor
    ) -> None:
        once, ever = tmp_path / "once", tmp_path / "ever"
        once.mkdir()
        ever.mkdir()
        jobs = [Job(Dying(once, (1,), 1), 1), Job(Dying(ever, (2,), 9), 2), Job(refusing, 3)]
        found = sum_of(both, jobs)
        assert isinstance(found.pop(1), Lost)
        assert found == {0: 2, 2: 3}
        assert (len(list(once.iterdir())), len(list(ever.iterdir()))) == (1, 2)


# --- a node is lost in the middle of a command --------------------------------------------------

Progress = Callable[..., None]
ARCHITECTURES = tuple(f"{a}-{b}" for a in range(1, 6) for b in range(a, 6))
ACCURACIES = np.random.default_rng(0).random(len(ARCHITECTURES))
TABLE = Table("slow", None, ARCHITECTURES, {"kd": ACCURACIES})
NOISE = Data("noise", 4)


def ranked(folder: Path, executor: Executor | None, told: Progress) -> bytes:
    found = rank(
        TABLE, Slow(), [load("snip"), load("sum(mean(A * grad A))")], setting=Setting(NOISE),
        executor=executor, progress=told,
    )  # fmt: skip
    return b"".join(scores.tobytes() for _, scores in sorted(found.scores.items()))


def searched(folder: Path, executor: Executor | None, told: Progress) -> bytes:
    with ScoreBook(folder / "book") as book:
        found = find_student(
            Slow(), "snip", data=NOISE, budget=64, top=9, executor=executor, book=book,
            progress=told,
        )  # fmt: skip
    return repr(found).encode()


def evolved(folder: Path, executor: Executor | None, told: Progress) -> bytes:
    config = Config(
        population=6, elite=2, iterations=6, space=Slow(), data=(NOISE,), terms="instinct",
        inputs=("W", "grad W", "A", "P_s"), baselines=("params", "snip"), null_repeats=0,
    )  # fmt: skip
    search([TABLE], config, executor=executor, folder=folder / "run", watch=Watch(told))
    files = sorted(path for path in (folder / "run").rglob("*") if path.is_file())
    return b"".join(path.name.encode() + path.read_bytes() for path in files)


def built(folder: Path, executor: Executor | None, told: Progress) -> bytes:
    out = folder / "table.csv"
    build_table(
        "digits-resnet", out, sample=5, seeds=(0, 2), recipe=Recipe(steps=4), executor=executor,
        progress=told,
    )  # fmt: skip
    return out.read_bytes()


@pytest.mark.parametrize("command", [ranked, searched, evolved, built])
def test_a_lost_node_changes_no_byte(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., bytes]
) -> None:
    monkeypatch.setattr("autodas_dsl.evolution.shards._PER_SHARD", 3)
    told = []

    def kill(*_: object) -> None:
        told.append(time.monotonic())
        if len(told) == 3:
            nodes.kill_one()

    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    expected = command(here, None, lambda *_: None)
    assert command(there, Ray(), kill) == expected
    assert len(nodes.alive) == 1


def test_a_cluster_that_is_lost_is_an_error(
    cluster_of_two: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ray() as executor:
        state = Slowly()
        results = executor.run(Job(state, number) for number in range(100))
        next(results)
        monkeypatch.setattr(cluster, "_STARTED_IN", 2)
        while cluster_of_two.alive:
            cluster_of_two.kill_one()
        with pytest.raises(InputError, match=r"E786.*no worker left"):
            list(results)


# --- without a cluster --------------------------------------------------------------------------


def test_ray_that_is_not_installed_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r'E782(.|\n)*pip install "autodas-dsl\[ray\]"'):
        Ray("localhost:6379")


@pytest.fixture
def unconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)


@pytest.mark.parametrize(
    ("error", "code"), [(RuntimeError("Version mismatch"), "E785"), (ConnectionError(), "E784")]
)
def test_a_cluster_that_cannot_be_used(
    unconnected: None, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(cluster, "_reach", lambda *_, **__: "")
    for address in ("host:1", None):
        with pytest.raises(InputError, match=code):
            Ray(address)


@pytest.mark.parametrize("address", ["nonsense", "host:99999", "host:", ":1", "a b:1"])
def test_what_is_no_address(unconnected: None, address: str) -> None:
    with pytest.raises(InputError, match=r"E783.*no address of a Ray cluster"):
        Ray(address)


def test_an_address_where_no_cluster_answers_is_told_within_seconds(
    unconnected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_CONNECTED_IN", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(InputError, match=r"E784.*refused"):
            Ray(f"127.0.0.1:{port}")
        silent.listen()
        with pytest.raises(InputError, match=r"E784.*timed out"):
            Ray(f"127.0.0.1:{port}")


def test_a_machine_with_other_versions_is_refused_with_the_difference() -> None:
    assert Server().compare(versions()) == (Said.READY, "")
    said, error = Server().compare({**versions(), "torch": "0.1", "Python": "2.7"})
    assert said is Said.WRONG
    assert "E788" in str(error)
    assert "and not 0.1" in str(error)
    assert "and not 2.7" in str(error)
