"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


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
