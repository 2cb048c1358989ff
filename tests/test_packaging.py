"""What an installation holds: every package, the grammar, the library and the data files."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_FOLDERS = {"autodas_dsl.grammar": "grammar", "autodas_dsl.proxies": "proxies"}
PAGES = {"autodas_dsl.docs": "docs/errors.md"}
BUILD_FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names inside a wheel built from a copy of the checkout."""
    pytest.importorskip("setuptools", "77", reason="building a wheel needs setuptools 77")
    source = tmp_path_factory.mktemp("source")
    for folder in ("autodas_dsl", *DATA_FOLDERS.values()):
        shutil.copytree(
            ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    (source / "docs").mkdir()
    for name in (*BUILD_FILES, *PAGES.values()):
        shutil.copy(ROOT / name, source / name)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    (source / "dist").mkdir()
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (archive,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(archive).namelist()


def test_every_folder_of_python_files_is_listed_as_a_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(config["options"]["packages"].split())
    folders = {path.parent for path in (ROOT / "autodas_dsl").rglob("*.py")}
    present = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert listed == present | set(DATA_FOLDERS) | set(PAGES)


def test_every_extra_that_a_message_names_exists() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {
        extra
        for path in (ROOT / "autodas_dsl").rglob("*.py")
        for extra in re.findall(r"autodas-dsl\[(\w+)\]", path.read_text(encoding="utf-8"))
    }
    assert named <= set(config["options.extras_require"])


def test_a_wheel_holds_what_the_checkout_holds(wheel: list[str]) -> None:
    held = set(wheel)
    sources = (path for path in (ROOT / "autodas_dsl").rglob("*") if path.is_file())
    expected = {f"autodas_dsl/{page}" for page in PAGES.values()} | {
        path.relative_to(ROOT).as_posix() for path in sources if "__pycache__" not in path.parts
    }
    for folder in DATA_FOLDERS.values():
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        expected |= {f"autodas_dsl/{path.relative_to(ROOT).as_posix()}" for path in files}
    assert expected - held == set()


def test_a_wheel_holds_nothing_beside_the_package(wheel: list[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"autodas_dsl"}


_WITHOUT_POSIX = """
import importlib, pathlib, pkgutil, sys
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp"):
    sys.modules[name] = None
import autodas_dsl
for module in pkgutil.walk_packages(autodas_dsl.__path__, "autodas_dsl."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from autodas_dsl.evolution.run_folder import RunFolder
from autodas_dsl.language.errors import InputError
run = pathlib.Path(sys.argv[1], "run")
with RunFolder(run).opened({}, resume=False):
    try:
        with RunFolder(run).opened({}, resume=True):
            print("twice")
    except InputError as error:
        print(error.diagnostics[0].code)
with RunFolder(run).opened({}, resume=True):
    print("again")
"""


def test_every_module_imports_and_locks_where_posix_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _WITHOUT_POSIX, str(tmp_path)], check=False,
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["E604", "again"]), done.stderr
