"""The store of collected statistics: equal keys, whole files, a byte budget."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_networks import BATCH, EVERYTHING, FLOW, GRAD, P_S, Small, W, same, seeded

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import Collected, collect
from autodas_dsl.statistics.fingerprint import fingerprint
from autodas_dsl.statistics.store import Store

KEY = "a" * 64


@pytest.fixture(scope="module")
def collected() -> Collected:
    return collect(seeded(Small), BATCH, EVERYTHING)


def equal(a: Collected, b: Collected) -> bool:
    return (
        a.values.keys() == b.values.keys()
        and all(same(a[s], b[s]) for s in a.values)
        and all(type(a[s]) is type(b[s]) for s in a.values)
        and (a.layers, a.taken) == (b.layers, b.taken)
    )


def test_what_is_stored_comes_back(collected: Collected, tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "folder")
    assert store.get(KEY) is None
    store.put(KEY, collected)
    assert equal(store.get(KEY), collected)
    assert [p.name for p in store.folder.iterdir()] == [f"{KEY}.safetensors"]


def test_values_that_share_memory_and_other_types(tmp_path: Path) -> None:
    x = torch.randn(4, 4)
    shared = Collected({P_S: x, W: (x, x.T, x[:2], torch.empty(0, 3)), GRAD: (x.bfloat16(),)})
    store = Store(tmp_path)
    store.put(KEY, shared)
    assert equal(store.get(KEY), shared)


def test_fetch_makes_it_once(collected: Collected, tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> Collected:
        made.append(1)
        return collected

    store = Store(tmp_path)
    assert equal(store.fetch(KEY, make), store.fetch(KEY, make))
    assert len(made) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign", "text"])
def test_a_damaged_file_is_made_again(damage: str, collected: Collected, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, collected)
    path = store.path(KEY)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-100]
    elif damage == "flip":
        content[-100] ^= 1
    elif damage == "empty":
        content = bytearray()
    elif damage == "text":
        content = bytearray(b"not a safetensors file at all")
    path.write_bytes(content)
    if damage == "foreign":
        save_file({"x": torch.zeros(3)}, path)
    assert store.get(KEY) is None
    assert equal(store.fetch(KEY, lambda: collected), collected)
    assert equal(store.get(KEY), collected)


def test_a_budget_evicts_the_least_recently_used(tmp_path: Path) -> None:
    one = Collected({P_S: torch.zeros(1000)})
    store = Store(tmp_path)
    store.put("size", one)
    size = store.path("size").stat().st_size
    store.path("size").unlink()
    store = Store(tmp_path, budget=3 * size)
    for age, key in enumerate("abc"):
        store.put(key, one)
        os.utime(store.path(key), (1000 + age, 1000 + age))
    assert store.get("a") is not None  # used again: now the most recent
    store.put("d", one)
    assert {p.stem for p in tmp_path.iterdir()} == {"a", "c", "d"}
    store.put("huge", Collected({P_S: torch.zeros(10 * size)}))
    assert {p.stem for p in tmp_path.iterdir()} == {"a", "c", "d"}


def test_a_folder_with_room_is_not_looked_through_at_every_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would take ever longer, the more networks a table has."""
    looks: list[Path] = []
    evict = Store._evict

    def look(store: Store, keep: Path) -> None:
        looks.append(keep)
        evict(store, keep)

    monkeypatch.setattr(Store, "_evict", look)
    store = Store(tmp_path, budget=1 << 20)
    for number in range(200):
        store.put(str(number), Collected({P_S: torch.zeros(1000)}))
    assert len(looks) < 60
    assert 200_000 < sum(p.stat().st_size for p in tmp_path.iterdir()) <= 1 << 20


def test_a_folder_that_cannot_be_written(collected: Collected, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"E650.*cannot be stored in"):
        Store(tmp_path / "file").put(KEY, collected)
    assert Store(tmp_path / "file").get(KEY) is None


def test_an_interrupted_write_leaves_nothing(
    collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("autodas_dsl.statistics.store.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).put(KEY, collected)
    assert not list(tmp_path.iterdir())


def test_the_fingerprint_covers_everything_a_value_depends_on() -> None:
    network = seeded(Small)
    wanted = [W, GRAD]
    key = fingerprint("a", network, BATCH, wanted)
    assert key == fingerprint("a", seeded(Small), BATCH, wanted[::-1])
    assert len(key) == 64
    others = {
        fingerprint("b", network, BATCH, wanted),
        fingerprint("a", network, BATCH, [W, FLOW]),
        fingerprint("a", network, BATCH, [W, GRAD, Statistic("params")]),
        fingerprint("a", network, BATCH, wanted, seed=1),
        fingerprint("a", network, BATCH, wanted, dtype=torch.float64),
        fingerprint("a", network, BATCH, wanted, features={"F": "act"}),
        fingerprint("a", network, replace(BATCH, x=BATCH.x + 1e-6), wanted),
        fingerprint("a", network, replace(BATCH, y=BATCH.y.flip(0)), wanted),
        fingerprint("a", network, replace(BATCH, classes=6), wanted),
    }
    with torch.no_grad():
        network.fc.bias[0] += 1
    others.add(fingerprint("a", network, BATCH, wanted))
    network.norm.running_mean += 1
    others.add(fingerprint("a", network, BATCH, wanted))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    others.add(fingerprint("a", network, BATCH, wanted))
    torch.set_num_threads(threads)
    assert len(others | {key}) == 13
