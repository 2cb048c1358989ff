"""The interpreter against an independent meaning of every operator, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_formulas import CHOSEN, of_operators
from fake_networks import fake, node
from reference import REFERENCE

from autodas_dsl.compiler import kernels
from autodas_dsl.compiler.interpret import Invalid, evaluate
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.language.operators import OPERATORS

NET = fake(3, 4)
# the meanings know distances between tensors of the same axes only
BEYOND = ("L1(|W|_F, |grad W|_F)", "CKA(F_s, E_t) + pairwise(F_s, F_t)")
FORMULAS = tuple(dict.fromkeys(t for t in (*CHOSEN, *of_operators().values()) if t not in BEYOND))


def meant(root: Node) -> object:
    """The value of a formula by the NumPy meanings; layer lists are tuples."""
    done: dict[Node, object] = {}
    with np.errstate(all="ignore"):
        for one in topological([root]):
            done[one] = _meant(one, [done[arg] for arg in one.args])
    return done[root]


def _meant(one: Node, args: list) -> object:
    if one.op == "number":
        return np.float64(one.value)
    if one.op == "stat":
        value = NET.values[one.statistic]
        return tuple(v.numpy() for v in value) if one.kind.layers else value.numpy()
    layered = [own.kind.layers is not None for own in one.args]
    if OPERATORS.get(one.op) is not None and OPERATORS[one.op].left.startswith("list("):
        return _apply(one, args)
    if any(layered) and one.kind.layers is None:  # reduces a list of numbers
        return _apply(one, [np.stack(a) if f else a for a, f in zip(args, layered, strict=True)])
    if not any(layered):
        return _apply(one, args)
    count = next(len(a) for a, f in zip(args, layered, strict=True) if f)
    return tuple(
        _apply(one, [a[i] if f else a for a, f in zip(args, layered, strict=True)])
        for i in range(count)
    )


def _apply(one: Node, args: list) -> object:
    if one.op == "flat":
        return args[0].reshape(*args[0].shape[:-2], -1)
    if one.op == "unflat":
        return args[0].reshape(args[1].shape)
    values = OPERATORS[one.op].values(one.attrs)
    return REFERENCE[one.op](args, values, [arg.kind for arg in one.args])


@pytest.mark.parametrize("text", FORMULAS)
def test_interpreter_equals_numpy(text: str) -> None:
    root = node(text)
    expected = float(np.asarray(meant(root)))
    try:
        found = float(evaluate(root, NET))
    except Invalid:
        assert not np.isfinite(expected), text
        return
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-11), text


# --- kernels that are faster than the obvious ----------------------------------------------------


def test_float32_singular_values_are_as_good_as_lapacks() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 20, 50, generator=generator, dtype=torch.float64)
    x[1, 10:] = x[1, :10]  # rank 10
    exact = torch.linalg.svdvals(x)
    found = kernels.svdvals(x.float())
    assert found.dtype == torch.float32
    assert ((found - exact).abs() <= 2e-7 * exact[:, :1]).all()
    assert kernels.rank(x.float()).tolist() == [20, 10, 20]
    assert kernels.svdvals(x.float().transpose(-1, -2)).shape == (3, 20)


def test_angles_at_equal_rows_are_zero() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [-4.0, 0.5, 1.0]]).unsqueeze(0)
    found = kernels.angles(x, 2)
    assert found[0, 0, 1].tolist() == [0, 0, 0]
    assert found[0, 0, 2].tolist() == [0, 0, pytest.approx(1)]


@pytest.mark.parametrize("size", [5, 8, 64, 70])
def test_patterns_counts_distinct_columns(size: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(size, 40, generator=generator)
    x[:, 20:] = x[:, :20]
    x[0, 39] *= -1
    expected = len({tuple(column) for column in (x > 0).T.tolist()})
    assert kernels.patterns(x.unsqueeze(0), 2).tolist() == [expected]


@pytest.mark.parametrize("exponent", [4, 5, 10, 16])
def test_whole_powers(exponent: int) -> None:
    x = torch.tensor([-3.0, -0.5, 0.0, 2.5, torch.inf, torch.nan], dtype=torch.float64)
    torch.testing.assert_close(
        kernels.power(x, exponent), torch.pow(x, exponent), rtol=1e-14, atol=0, equal_nan=True
    )


def test_a_window_is_at_most_the_map() -> None:
    x = torch.arange(12.0).reshape(1, 1, 1, 2, 6)
    assert kernels.multiscale(x, 4).tolist() == [[[[[9.0]]]]]


def test_hard_takes_the_first_of_equal_labels() -> None:
    student = torch.tensor([[[1.0, 2.0, 3.0]]])
    teacher = torch.tensor([[[5.0, 5.0, 0.0]]])
    expected = -torch.log_softmax(student, -1)[0, 0, 0]
    assert kernels.hard(student, teacher, -1, (-2,)).item() == pytest.approx(expected.item())
