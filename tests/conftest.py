"""Fixtures shared by all tests."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import MagicMock

# One thread, here and in processes that tests start: sums depend on their number in the last bits,
# and results of processes are compared bit for bit. Libraries read these when they are imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import pytest  # noqa: E402
from fixtures import DATA  # noqa: E402

from autodas_dsl.language import extend  # noqa: E402
from autodas_dsl.language.inputs import INPUTS  # noqa: E402
from autodas_dsl.language.operators import ALIASES, OPERATORS  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent

Golden = Callable[[str | Path, str], None]
"""The fixture `golden`: a file in ``tests/data``, or a whole path, and the text it should hold."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference scores, real tables and images that stays outside the repository."""
    folder = Path(os.environ.get("AUTODAS_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "reference" / "expected.json").is_file():
        pytest.skip(f"reference data not present at {folder} (set AUTODAS_SHARED)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Scores, statistics and parser tables of tests stay out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_workers() -> Iterator[None]:
    """Spawned workers come from a server that has imported torch, which takes each of them seconds.

    They are started as ever, with nothing but what is sent to them; real spawning is tested where
    a test starts a program that has workers.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield
        return
    served = multiprocessing.get_context("forkserver")
    needed = [
        "autodas_dsl.evolution.session",
        "autodas_dsl.training.build",
        "autodas_dsl.report.plots",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autodas_dsl.execution.processes._IMPORTED", needed)
        served.set_forkserver_preload(needed)
        patch.setattr(multiprocessing, "get_context", lambda method=None: served)
        yield


@pytest.fixture
def plain_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches without what takes longest of a small one: its plots, and a process with sympy."""
    monkeypatch.setattr("autodas_dsl.report.pictures.Process", MagicMock())
    monkeypatch.setattr("autodas_dsl.simplify.simplify.ask_sympy", lambda *asked: [])


@contextmanager
def own_language() -> Iterator[None]:
    """Operators and statistics that are added here are gone afterwards."""
    tables = (extend._LOADED, OPERATORS, ALIASES, INPUTS)
    kept = [dict(table) for table in tables]
    tables[0].clear()
    try:
        yield
    finally:
        for table, before in zip(tables, kept, strict=True):
            table.clear()
            table.update(before)  # type: ignore[arg-type]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        action="store_true",
        help="write golden files and generated pages anew, and run only the tests of them",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("golden"):
        kept = [item for item in items if "golden" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a file, whose path is taken from ``tests/data``; see ``--golden``."""

    def compare(name: str | Path, text: str) -> None:
        path = DATA / name
        if request.config.getoption("golden"):
            path.write_text(text, encoding="utf-8")
        same = path.read_text(encoding="utf-8") == text
        assert same, f"{path} differs: write it with `python -m pytest --golden`, read the diff"

    return compare
