"""Faster ways to compute what torch computes: as accurate, and the same in the corners."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from fake_networks import networks, node

from autodas_dsl.compiler import kernels, layout
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.kernels import gram

DRAWN = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 40)))


def test_tanh_is_as_accurate_as_torch() -> None:
    x = torch.cat([torch.logspace(-35, 3, 5000), -torch.logspace(-35, 3, 5000), torch.zeros(2)])
    exact = torch.tanh(x.double())
    error = (kernels.tanh(x).double() - exact).abs() / exact.abs().clamp_min(1e-300)
    assert float(error.max()) < 4e-7
    ends = torch.tensor([torch.inf, -torch.inf, torch.nan, -0.0])
    assert kernels.tanh(ends)[:2].tolist() == [1, -1]
    assert kernels.tanh(ends)[2:].isnan().tolist() == [True, False]


def test_abslog_of_zero_is_zero_beside_anything() -> None:
    x = torch.tensor([0.0, -0.0, 1.0, -2.0, torch.nan])
    assert kernels.abslog(x)[:3].tolist() == [0, 0, 0]
    assert kernels.abslog(x)[4].isnan()
    assert kernels.abslog(x[2:4]).tolist() == torch.log(torch.tensor([1.0, 2.0])).tolist()
    assert kernels.abslog(x[:0]).shape == (0,)


def test_distances_of_rows_close_together_and_far_from_zero() -> None:
    rows = (1000 + DRAWN * 1e-2).float()
    rows[3] = rows[1]
    exact = kernels.reldist(rows.double(), 2)
    found = kernels.reldist(rows, 2)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=0)
    assert found[1, 3] == found[3, 1] == 0


def test_the_first_of_equal_largest_is_the_label() -> None:
    a = DRAWN[:3, :4].float()
    b = torch.tensor([[0.0, 2, 2, 1], [1, 1, 1, 1], [0, 1, 2, torch.nan]])
    for axis, ours, theirs in [(-1, a, b), (-2, a.T, b.T)]:
        wanted = torch.nn.functional.cross_entropy(a, torch.tensor([1, 0, 3]))
        torch.testing.assert_close(kernels.hard(ours, theirs, axis, (-3 - axis,)), wanted)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_mmd_is_what_it_says(degree: int) -> None:
    x, y = DRAWN[:, :20].reshape(2, 3, 20), DRAWN[:, 20:].reshape(2, 3, 20)

    def kernel(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return ((p @ q.transpose(1, 2)) ** degree).mean((1, 2))

    wanted = (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)).mean()
    torch.testing.assert_close(kernels.mmd(x, y, degree, 3), wanted)


def test_singular_values_of_a_statistic_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(x: torch.Tensor) -> torch.Tensor:
        made.append(x.shape)
        return kernels.svdvals(x)

    monkeypatch.setitem(layout.SPECTRA, "singular", counted)
    engine = Engine(networks())
    texts = ["sum(|W|_*)", "sum(rank(W))", "sum(mean(svdvals(W)))", "sum(std(svdvals(W)))"]
    first = engine.evaluate([node(text) for text in texts[:2]])
    blocks = len(made)
    assert blocks > 0
    later = engine.evaluate([node(text) for text in texts[2:]])
    assert len(made) == blocks
    monkeypatch.undo()
    for text, outcome in zip(texts, [*first, *later], strict=True):
        alone = Engine(networks(), memory=0).evaluate([node(text)])[0]
        assert alone.scores.tobytes() == outcome.scores.tobytes()


def test_eigenvalues_of_what_is_not_square_are_the_operators_failure() -> None:
    outcome = Engine(networks()).evaluate([node("sum(eigvals(E_s))"), node("params")])
    assert not outcome[0].valid.any()
    assert "eigvals" in outcome[0].reasons[0]
    assert outcome[1].valid.all()


FREED = """
import torch
from pathlib import Path
from autodas_dsl.execution.memory import tune_memory

def left():
    torch.ones(1)
    before = resident()
    temporaries = [torch.ones(1 << 21) for _ in range(20)]
    del temporaries
    return resident() - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

print(left())
tune_memory()
print(left())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is about glibc")
def test_freed_memory_is_kept() -> None:
    command = [sys.executable, "-c", FREED]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    as_it_is, kept = map(int, done.stdout.split())
    assert as_it_is < 2**26
    assert kept > 20 * 2**23 * 0.9


def test_what_is_made_of_a_shared_tensor_is_made_once() -> None:
    made = []

    def make() -> torch.Tensor:
        made.append(1)
        return torch.ones(1)

    own, shared = torch.zeros(1), kernels.share(torch.zeros(1))
    for x in (own, own, shared, shared):
        kernels.once(x, ("ones",), make)
    assert len(made) == 3
    a, b = DRAWN[:3].float(), DRAWN[3:].float()
    for distance in (kernels.kl(a, b, 2, -1, (), (-2,)), kernels.pearson(a, b, -1, (-2,))):
        assert distance.dim() == 0
    kept = kernels.share(b.clone())
    for _ in range(2):
        assert torch.equal(
            kernels.kl(a, kept, 2, -1, (), (-2,)), kernels.kl(a, b, 2, -1, (), (-2,))
        )
        assert torch.equal(kernels.cka(a, kept, 2, 2), kernels.cka(a, b, 2, 2))
        assert torch.equal(kernels.pearson(a, kept, -1, (-2,)), kernels.pearson(a, b, -1, (-2,)))
        assert torch.equal(kernels.hard(a, kept, -1, (-2,)), kernels.hard(a, b, -1, (-2,)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("shape", [(3, 5, 40), (3, 40, 5), (7, 7), (2, 0, 4)])
def test_products_with_itself(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    close = 1e-2 if dtype == torch.float16 else 1e-5
    for own in (rows, rows.transpose(-1, -2), rows.expand(2, *shape)):
        assert torch.allclose(gram(own), own @ own.transpose(-1, -2), rtol=close, atol=close)
    if rows.numel():
        rows[..., 0, 0] = torch.nan
        assert torch.equal(gram(rows).isnan(), (rows @ rows.transpose(-1, -2)).isnan())
        learned = rows.clone().requires_grad_()
        assert gram(learned).requires_grad
