"""The seam for work: jobs in this process and in others, workers that die, results in any order."""

from __future__ import annotations

import gc
import math
import multiprocessing
import pickle
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evolution_tables import Fake
from small_jobs import (
    Backwards,
    Building,
    Deadly,
    Doubling,
    Dying,
    Locked,
    Unreadable,
    environment,
    refusing,
)
from tiny_space import Tiny

from autodas_dsl import spaces
from autodas_dsl.compiler.lower import lower
from autodas_dsl.evolution.shards import Shard, Sharded
from autodas_dsl.execution.executors import executor_of, local
from autodas_dsl.execution.futures import Futures
from autodas_dsl.execution.jobs import DEADLY, Executor, InProcess, Job, Lost, persistent
from autodas_dsl.execution.memory import importing
from autodas_dsl.execution.pool import Heard, Pool, Worker
from autodas_dsl.execution.processes import Processes
from autodas_dsl.execution.serving import Said
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import load
from autodas_dsl.language.parse import parse
from autodas_dsl.language.user_files import UserFile
from autodas_dsl.models.load import load_models
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.collecting import collecting
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Score, bind
from autodas_dsl.scoring.setting import Data, Setting, Teacher
from autodas_dsl.scoring.stored import Keeping, Limits, collected_by
from autodas_dsl.scoring.table import Scoring, scores_of, table_batch
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.errors import OutOfMemory

CELL = "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
ARCHITECTURES = ("1-2", "2-3", "4-4", "5-1")
SPACE = """
from dataclasses import dataclass
from torch import nn
from autodas_dsl.spaces import Field, FieldSpace

@dataclass(frozen=True, slots=True)
class Arch:
    width: int

class Mine(FieldSpace[Arch]):
    name, input_shape, classes, arch_type = "mine", (1, 4, 4), 3, Arch
    parts = (Field("width", (1, 2, 3)),)

    def build(self, arch, classes=None):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, arch.width), nn.Linear(arch.width, 3))
"""
MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(4, width)

def models():
    return {"lazy": lambda: nn.Linear(2, 4), "ready": nn.Linear(2, 9)}
"""


def sum_of(executor: Executor, jobs: Any) -> dict[int, Any]:
    return dict(persistent(executor, jobs))


@pytest.fixture(scope="module")
def two() -> Iterator[Executor]:
    with local(2) as executor:
        yield executor


def executors(two: Executor) -> tuple[Executor, Executor]:
    return InProcess(), two


def test_how_many_workers_there_are(two: Executor) -> None:
    with local(1) as one:
        assert (one.workers, two.workers) == (1, 2)
        assert isinstance(one, InProcess)


def test_every_job_is_run_once_with_one_thread(tmp_path: Path, two: Executor) -> None:
    for executor in executors(two):
        (tmp_path / "log").write_text("")
        state = Doubling(tmp_path / "log")
        found = sum_of(executor, (Job(state, number) for number in range(9)))
        again = sum_of(executor, [Job(state, 5)])
        check_run_once(executor.workers, found, again, tmp_path / "log")


def check_run_once(workers: int, found: dict[int, Any], again: dict[int, Any], log: Path) -> None:
    assert {number: value[0] for number, value in found.items()} == {n: 2 * n for n in range(9)}
    assert again[0][0] == 10
    made = Counter(log.read_text(encoding="utf-8").split())
    assert set(made.values()) == {1}, "each worker makes it once and keeps it"
    assert len(made) <= workers
    if workers > 1:
        assert {value[2] for value in found.values()} == {1}


def test_jobs_of_one_place_are_run_by_one_worker(tmp_path: Path, two: Executor) -> None:
    state = Doubling(tmp_path / "log")
    found = sum_of(two, [Job(state, n, place=n % 4) for n in range(12)])
    ran = {n: value[1] for n, value in found.items()}
    assert all(ran[n] == ran[n % 2] for n in range(12))
    assert len(set(ran.values())) == 2


@pytest.mark.parametrize("place", [0, 1])
def test_jobs_are_drawn_no_further_ahead_than_workers_need(
    tmp_path: Path, two: Executor, place: int
) -> None:
    executor, drawn = executors(two)[place], 0

    def jobs() -> Iterator[Job[int, Any]]:
        nonlocal drawn
        for number in range(20):
            drawn += 1
            yield Job(state, number, place=0 if number < 10 else None)

    state = Doubling(tmp_path / "log")
    for done, _ in enumerate(executor.run(jobs())):
        assert drawn - done <= 1 + 2 * executor.workers
    assert drawn == 20


def test_a_job_whose_worker_is_killed_once_is_run_again(tmp_path: Path, two: Executor) -> None:
    state = Dying(tmp_path, numbers=(3, 4), times=1)
    found = sum_of(two, (Job(state, number) for number in range(8)))
    assert found == {n: 2 * n for n in range(8)}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_job_that_ends_two_workers_is_lost_and_the_others_are_not(
    tmp_path: Path, two: Executor
) -> None:
    state = Dying(tmp_path, numbers=(3,), times=9)
    found = sum_of(two, (Job(state, number) for number in range(8)))
    assert isinstance(found.pop(3), Lost)
    assert found == {n: 2 * n for n in range(8) if n != 3}
    assert sum_of(two, [Job(state, 7)]) == {0: 14}
    assert len(list(tmp_path.iterdir())) == 2, "it ended two workers and no third"


@pytest.mark.parametrize("place", [0, 1])
def test_a_diagnostic_comes_back_as_it_was(two: Executor, place: int) -> None:
    executor = executors(two)[place]
    with pytest.raises(InputError) as refused:
        sum_of(executor, [Job(refusing, 1)])
    assert refused.value.render() == (
        "error[E999]: one is refused\n    = help: give another number"
    )
    with pytest.raises(OutOfMemory, match="two is too much"):
        sum_of(executor, [Job(refusing, 2)])
    assert sum_of(executor, [Job(refusing, 3)]) == {0: 3}


def test_results_that_nobody_asks_for_any_more_are_not_taken_for_others(
    tmp_path: Path, two: Executor
) -> None:
    state = Doubling(tmp_path / "log")
    results = two.run(Job(state, number) for number in range(50))
    next(results)
    results.close()
    found = sum_of(two, [Job(state, number) for number in (100, 200)])
    assert {number: value[0] for number, value in found.items()} == {0: 200, 1: 400}


def test_workers_forget(two: Executor, tmp_path: Path) -> None:
    for executor in executors(two):
        state = Doubling(tmp_path / f"log-{executor.workers}")
        for _ in range(2):
            assert sum_of(executor, [Job(state, 4, 0)])[0][0] == 8
            executor.forget()
        assert len(state.log.read_text().split()) == 2, "made again"


def test_what_does_not_travel_is_a_diagnostic(two: Executor) -> None:
    with pytest.raises(InputError, match=r"E780.*cannot be sent to workers.*lock"):
        sum_of(two, [Job(Locked(threading.Lock()), 1)])
    with pytest.raises(InputError, match=r"E780.*cannot be sent to workers"):
        sum_of(two, [Job(lambda: None, 1)])
    with pytest.raises(InputError, match=r"E781.*cannot read its work.*nowhere"):
        sum_of(two, [Job(Unreadable(), 1)])
    assert sum_of(two, [Job(refusing, 3)]) == {0: 3}


def test_workers_have_the_environment_of_this_process_when_they_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Processes(1) as executor:
        monkeypatch.setenv("AUTODAS_TESTED", "set since")
        names = ("AUTODAS_TESTED", "OMP_NUM_THREADS")
        found = dict(executor.run(Job(environment, name) for name in names))
    assert found == {0: "set since", 1: "1"}


@pytest.mark.parametrize("given", [0, -1, 257, "many", "2", None, 1.5])
def test_what_is_no_number_of_workers(given: Any) -> None:
    with pytest.raises(InputError, match=r"E791.*is no number of workers"):
        executor_of(given)


# --- executors of others ------------------------------------------------------------------------


class Polled:
    """An executor whose results are no futures of the standard library, as submitit's."""

    def __init__(self, executor: futures.Executor) -> None:
        self._executor = executor

    def submit(self, *asked: Any) -> Polling:
        return Polling(self._executor.submit(*asked))


class Polling:
    def __init__(self, future: futures.Future[Any]) -> None:
        self.done, self.result, self.cancel = future.done, future.result, future.cancel


def test_an_executor_of_somebody_else_runs_jobs(tmp_path: Path) -> None:
    spawned = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(2, spawned) as pool:
        executor = executor_of(executor=pool)
        assert executor.workers == 2
        for one in (executor, Futures(Polled(pool), workers=2)):
            state = Doubling(tmp_path / f"log-{type(one._executor).__name__}")
            found = sum_of(one, (Job(state, number) for number in range(9)))
            check_run_once(2, found, sum_of(one, [Job(state, 5)]), state.log)
            with pytest.raises(InputError, match=r"E999.*one is refused"):
                sum_of(one, [Job(refusing, 1)])
            assert sum_of(one, [Job(refusing, 3)]) == {0: 3}
            one.close()
        with executor, pytest.raises(InputError, match=r"E790.*lost a worker"):
            sum_of(executor, [Job(Dying(tmp_path, (1,), 9), 1)])


def test_threads_are_no_workers() -> None:
    with futures.ThreadPoolExecutor(2) as pool, pytest.raises(InputError, match="E789"):
        executor_of(executor=pool)


# --- descriptions -------------------------------------------------------------------------------


def test_every_kind_of_network_is_built_alike_in_another_process(
    tmp_path: Path, two: Executor
) -> None:
    (tmp_path / "mine.py").write_text(SPACE)
    (tmp_path / "net.py").write_text(MODEL)
    sources = [
        *load_models("digits-resnet:depth=1-1-1,width=4-8-16"),
        *load_models(f"{tmp_path}/mine.py:width=2"),
        *load_models(f"{tmp_path}/net.py"),
        *load_models(f"{tmp_path}/net.py:Net(5)"),
        space_source(Tiny(), "3-4"),
        space_source(spaces.get("nasbench201"), CELL),
    ]
    build = Building()
    here = sum_of(InProcess(), [Job(build, source) for source in sources])
    assert sum_of(two, [Job(build, source) for source in sources]) == here


def test_files_travel_to_where_they_are_not(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SPACE)
    (tmp_path / "net.py").write_text(MODEL)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    sources = [
        *load_models(f"{tmp_path}/mine.py:width=2"),
        *load_models(f"{tmp_path}/net.py:Net(5)"),
    ]
    teacher = Teacher(sources[0], 8, str(weights))
    build, packed = Building()(), pickle.dumps((sources, teacher, UserFile.of(weights)))
    here = [build(source) for source in sources]
    for name in ("mine.py", "net.py", "weights.safetensors"):
        (tmp_path / name).unlink()
    found, other, file = pickle.loads(packed)
    assert [build(source) for source in found] == here
    assert (other.size, Path(other.weights).read_bytes()) == (8, b"weights")
    weights.write_bytes(b"others")
    assert file.here() != weights, "what lies there now says something else"
    file.here().write_bytes(b"damaged")
    assert file.here().read_bytes() == b"weights"
    weights.write_bytes(b"weights")
    assert file.here() == weights


@pytest.mark.parametrize("name", ["mine.py:width=2", "net.py:Net(5)"])
def test_a_file_that_changed_is_not_built_from(tmp_path: Path, two: Executor, name: str) -> None:
    (tmp_path / "mine.py").write_text(SPACE)
    (tmp_path / "net.py").write_text(MODEL)
    (source,) = load_models(f"{tmp_path}/{name}")
    for change in (lambda path: path.write_text("x = 1\n"), Path.unlink):
        change(tmp_path / name.partition(":")[0])
        with pytest.raises(InputError, match="E415"):
            pickle.loads(pickle.dumps(source))
    with pytest.raises(InputError, match="E415"):
        sum_of(two, [Job(Building(), source)])


class _Machine(Worker):
    """A worker of a machine that is lost at some jobs."""

    def post(self, key: Any, state: Any, argument: Any) -> None:
        self.asked = argument

    def end(self) -> None: ...


class _Machines(Pool):
    """Doubles numbers; a number that is `deadly` takes the machine with it so often."""

    def __init__(self, deadly: dict[int, int]) -> None:
        super().__init__(2)
        self.deadly, self.lost = deadly, 0

    def started(self) -> _Machine:
        return _Machine()

    def heard(self, busy: Collection[int]) -> Iterator[Heard]:
        for place in list(busy):
            asked = self.worker(place).asked  # type: ignore[attr-defined]
            if self.deadly.get(asked, 0) > 0:
                self.deadly[asked] -= 1
                self.lost += 1
                yield place, Said.GONE, None
            else:
                yield place, Said.DONE, 2 * asked


@pytest.mark.parametrize(("times", "kept"), [(1, True), (3, True), (99, False)])
def test_a_job_that_takes_machines_with_it_is_given_up(times: int, kept: bool) -> None:
    executor = _Machines({2: times})
    found = sum_of(executor, [Job(refusing, number) for number in range(5)])
    lost = found.pop(2)
    assert found == {number: 2 * number for number in (0, 1, 3, 4)}
    assert lost == 4 if kept else isinstance(lost, Lost)
    assert executor.lost == min(times, 4)


def scoring(space: Space[Any]) -> Scoring:
    formulas = [bind(load(name)) for name in ("snip", "params", "mean(P_s * P_t)")]
    setting = Setting(Data("noise", 4), Teacher(space_source(Tiny(), "5-5")))
    batch = table_batch(space, setting, 4, 0)
    return Scoring(space, formulas, setting, setting.teacher, batch, 1)


def test_scores_do_not_depend_on_the_order_of_results(tmp_path: Path, two: Executor) -> None:
    here = scores_of(ARCHITECTURES, scoring(Tiny()), InProcess(), None)
    assert all(score.valid for row in here for score in row)
    assert scores_of(ARCHITECTURES, scoring(Tiny()), Backwards(), None) == here
    assert scores_of(ARCHITECTURES, scoring(Tiny()), two, None) == here
    with ScoreBook(tmp_path / "book") as book:
        scores_of(ARCHITECTURES[1:3], scoring(Tiny()), Backwards(), book)
        assert scores_of(ARCHITECTURES, scoring(Tiny()), Backwards(), book) == here


def test_a_network_that_ends_two_workers_has_no_score_and_is_not_stored(
    tmp_path: Path, two: Executor
) -> None:
    with ScoreBook(tmp_path / "book") as book:
        described = scoring(Deadly())
        found = scores_of(ARCHITECTURES, described, two, book)
        stored = [book.get(described.key, described.network_key(a)) for a in ARCHITECTURES]
    assert [len(known) for known in stored] == [3, 3, 0, 3]
    assert [score.reason for score in found[2]] == [DEADLY] * 3
    assert all(math.isnan(score.value) for score in found[2])
    others = [found[place] for place in (0, 1, 3)]
    assert all(isinstance(score, Score) and score.valid for row in others for score in row)


def test_a_network_that_ends_two_workers_cannot_be_collected(two: Executor) -> None:
    described, absent = collecting(
        Deadly(), [Statistic("W")], [], Setting(Data("noise", 4)), 0, None
    )
    places = dict.fromkeys(ARCHITECTURES, 0)
    with pytest.raises(InputError, match=r"E792.*deadly:4-4 cannot be collected"):
        collected_by(
            two, Keeping(described, ()), described, ARCHITECTURES, places, absent, Limits()
        )


def test_outcomes_do_not_depend_on_the_order_of_results() -> None:
    nodes = [lower(parse(text)) for text in ("params", "sum(|W|_F)", "sqrt(flops)", "layers")]
    shards = [Shard(partial(Fake, n, start), n) for start, n in ((0, 6), (6, 4))]
    here = Sharded(InProcess(), shards)(nodes)
    for one, other in zip(Sharded(Backwards(), shards)(nodes), here, strict=True):
        assert np.array_equal(one.scores, other.scores, equal_nan=True)
        assert one.reasons == other.reasons


@pytest.mark.parametrize("enabled", [True, False])
def test_importing_leaves_garbage_collection_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
