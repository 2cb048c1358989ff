"""The formulas in examples/ are canonical, check, and score networks with a teacher."""

from __future__ import annotations

import json
import math

import pytest
from click.testing import CliRunner
from conftest import REPOSITORY

from autodas_dsl.cli.entry import cli
from autodas_dsl.language.documents import read_document

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.proxy"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_canonical_and_checks(path) -> None:
    proxy = read_document(path)
    proxy.typed()
    assert str(proxy) == path.read_text(encoding="utf-8")


def test_examples_score_a_network() -> None:
    folder = REPOSITORY / "examples"
    words = ["score", str(folder / "resnet20.py"), "--teacher", str(folder / "resnet56.py")]
    for path in EXAMPLES:
        words += ["-p", str(path)]
    found = CliRunner().invoke(cli, [*words, "--batch-size", "8", "--format", "json"])
    assert found.exit_code == 0, found.output
    rows = json.loads(found.stdout)
    assert len(rows) == len(EXAMPLES) == 3
    assert [row["reason"] for row in rows if not row["valid"]] == []
    assert all(math.isfinite(row["score"]) for row in rows)
