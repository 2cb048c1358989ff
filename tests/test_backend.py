"""Both backends compute the same; the one for other devices stays on the device of its tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from engine_formulas import CHOSEN, UNFIT, of_operators
from fake_networks import networks, node
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from autodas_dsl.compiler import backend, kernels
from autodas_dsl.compiler.backend import CPU, TORCH, backend_of
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.ir import statistics_of, topological
from autodas_dsl.language.library import library_names
from autodas_dsl.language.operators import OPERATORS

EVERYTHING = tuple(dict.fromkeys((*CHOSEN, *of_operators().values())))
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-9}


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape)).to(dtype)


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("a tensor was read as a NumPy array")


@pytest.fixture
def torch_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a device that NumPy cannot read."""
    monkeypatch.setattr(backend, "CPU", TORCH)
    monkeypatch.setattr(Tensor, "numpy", _refuse)
    monkeypatch.setattr(Tensor, "__array__", _refuse)
    yield
    monkeypatch.undo()


# --- the same numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", EVERYTHING)
@DTYPES
def test_formulas_score_alike_without_numpy(
    text: str, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    expected = Engine(networks(dtype)).evaluate([node(text)])[0]
    nets = networks(dtype)
    request.getfixturevalue("torch_only")
    found = Engine(nets).evaluate([node(text)])[0]
    np.testing.assert_allclose(found.scores, expected.scores, rtol=ROUNDING[dtype], atol=1e-6)
    assert found.reasons == expected.reasons


@pytest.mark.parametrize("text", [*UNFIT, "sum(mean(log(W)))", "1 / (params - params)"])
def test_invalid_scores_are_invalid_without_numpy(text: str, torch_only: None) -> None:
    outcome = Engine(networks()).evaluate([node(text)], every_reason=True)[0]
    assert not outcome.valid.all()
    assert [not reason for reason in outcome.reasons] == outcome.valid.tolist()


@pytest.mark.parametrize("name", ["exp", "log", "log1p", "sqrt", "tanh"])
@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (0,)])
@DTYPES
def test_elementary_functions(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the processor makes NumPy the faster one."""
    x = drawn(*shape, dtype=dtype)
    expected = getattr(torch, name)(x)
    for by_numpy in (frozenset(), frozenset({dtype})):
        monkeypatch.setattr(backend, "_BY_NUMPY", by_numpy)
        for own in (CPU, TORCH):
            found = own.elementary(name, x)
            torch.testing.assert_close(found, expected, equal_nan=True)
            kept = x.clone()
            torch.testing.assert_close(own.elementary(name, kept, True), found, equal_nan=True)
            torch.testing.assert_close(own.elementary(name, x), expected, equal_nan=True)


@DTYPES
def test_matrices(dtype: torch.dtype) -> None:
    rows, close = drawn(3, 5, 9, dtype=dtype), ROUNDING[dtype]
    square = CPU.gram(rows)
    for of in ("gram", "svdvals"):
        a, b = (getattr(own, of)(rows) for own in (CPU, TORCH))
        torch.testing.assert_close(a, b, rtol=close, atol=close)
    for of in ("eigvals", "roots", "logdet"):
        a, b = (getattr(own, of)(square) for own in (CPU, TORCH))
        torch.testing.assert_close(a, b, rtol=close, atol=close)
    assert CPU.is_positive(square)
    assert TORCH.is_positive(square)
    assert not TORCH.is_positive(-square)


def test_sorting_and_counting() -> None:
    x = drawn(4, 6)
    x[1, 2] = torch.nan
    x[2] = torch.tensor([1.0, 3, 3, 0, 3, 2])
    for axis in (-1, -2):
        assert torch.equal(CPU.argmax(x, axis), TORCH.argmax(x, axis))
    assert CPU.argmax(x, -1)[2:3].tolist() == [[1]]
    assert torch.equal(CPU.sort(x).nan_to_num(9), TORCH.sort(x).nan_to_num(9))
    for width in (1, 8, 63, 64, 65, 200):
        signs = drawn(11, width).cumsum(-1) > 0
        signs[3] = signs[0]
        assert CPU.distinct_rows(signs) == TORCH.distinct_rows(signs) <= 10


def test_a_value_that_is_not_finite_is_seen() -> None:
    x = drawn(4, 6)
    for own in (CPU, TORCH):
        assert own.is_finite(x)
        for bad in (torch.nan, torch.inf):
            assert not own.is_finite(torch.where(x == x[1, 1], bad, x))


# --- who computes ---------------------------------------------------------------------------------


def test_numpy_is_asked_for_plain_tensors_of_a_cpu_only() -> None:
    x = drawn(3)
    assert backend_of(x) is CPU
    assert backend_of(x.clone().requires_grad_()) is TORCH
    assert backend_of(x.to("meta")) is TORCH


@pytest.mark.parametrize(
    "name", ["exp", "tanh", "abslog", "symlog", "abssqrt", "softplus", "mish", "sqrt", "log"]
)
def test_kernels_of_single_values_have_gradients(name: str) -> None:
    x = drawn(8).abs().add(0.5).requires_grad_()
    assert torch.autograd.gradcheck(getattr(kernels, name), (x,))


def test_products_and_medians_have_gradients() -> None:
    x = drawn(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(kernels.gram, (x,))
    assert torch.autograd.gradcheck(lambda v: kernels.median(v, (-1,)), (x,))


def test_what_is_made_lies_beside_the_statistics(torch_only: None) -> None:
    """Tensors that name no device are made on another one here, which nothing mixes with."""
    nets = networks()
    texts = [
        "mean(first(abs(X)))", "sum(|W|_F * fan_in)", "KL(P_s, P_t) + params",
        "mean(mask[p=0.5](F_s)) + mean(drop[p=0.5](F_s))", "sum(|W|_*)", "sum(rank(W))",
        "patterns(concat(X))", "sum(median(W)) * |E_t|_F", "mean(|A * grad A|_F)",
    ]  # fmt: skip
    roots = [node(text) for text in texts]
    with torch.device("meta"):
        found = Engine(nets).evaluate(roots)
    expected = Engine(nets).evaluate(roots)
    for a, b in zip(found, expected, strict=True):
        assert b.valid.all()
        assert a.scores.tobytes() == b.scores.tobytes()


# --- a device that is none ------------------------------------------------------------------------

AWAY = torch.device("meta")


class Away(Tensor):
    """A tensor that says it lies on another device; what is made of it does too."""

    device = AWAY  # type: ignore[assignment]
    is_cpu = False  # type: ignore[assignment]


def away(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(away, value))
    return value.as_subclass(Away)


class Strict(TorchFunctionMode):
    """Raises where a GPU would, and where a tensor is made on the CPU or read as an array.

    Lone numbers may lie on the CPU, as constants of formulas do: they mix with every device.
    """

    MAKERS = frozenset(
        getattr(torch, name)
        for name in ("tensor", "as_tensor", "zeros", "ones", "full", "empty", "arange", "eye",
                     "linspace", "rand", "randn", "randint", "randperm", "scalar_tensor")
    )  # fmt: skip
    READERS = frozenset({Tensor.numpy, Tensor.__array__, Tensor.cpu})

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        assert function not in self.READERS, f"{function.__name__} reads a tensor on the CPU"
        if function in self.MAKERS:
            device = kwargs.pop("device", None)
            made = function(*args, **kwargs)
            assert device == AWAY or not made.ndim, f"{function.__name__} makes a CPU tensor"
            return away(made) if device == AWAY else made
        if function is Tensor.to and args[1:2] == (AWAY,):
            return away(args[0])
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor) and x.ndim]
        assert len({isinstance(x, Away) for x in tensors}) < 2, f"{function} mixes devices"
        return function(*args, **kwargs)


def test_formulas_of_the_library_and_of_every_operator_never_leave_the_device() -> None:
    nets = networks()
    roots = {name: node(name) for name in (*library_names(), *EVERYTHING)}
    roots = {
        name: root
        for name, root in roots.items()
        if set(statistics_of([root])) <= set(nets[0].values)
        and not any(
            n.op in OPERATORS and OPERATORS[n.op].sees_population for n in topological([root])
        )
    }
    expected = dict(zip(roots, Engine(nets).evaluate(list(roots.values())), strict=True))
    applying = {name: root for name, root in roots.items() if expected[name].valid.all()}
    of_populations, not_here = {"az_nas", "vkdnw_agg"}, {
        "gradsign", "log_synflow", "pruner_zero_released",
    }  # fmt: skip
    assert set(library_names()) - set(applying) == of_populations | not_here
    moved = [replace(n, values={s: away(v) for s, v in n.values.items()}) for n in nets]
    assert backend_of(away(drawn(3))) is TORCH
    with Strict():
        found = Engine(moved).evaluate(list(applying.values()))
    for name, outcome in zip(applying, found, strict=True):
        np.testing.assert_allclose(
            outcome.scores, expected[name].scores, rtol=1e-9, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize(
    "leaves",
    [
        lambda x: x.numpy(), lambda x: np.asarray(x), lambda x: x.cpu(), lambda x: torch.zeros(3),
        lambda x: torch.tensor([1.0]), lambda x: x + torch.from_numpy(np.ones(3)),
    ],
)  # fmt: skip
def test_what_leaves_the_device_is_seen(leaves: Any) -> None:
    with Strict(), pytest.raises(AssertionError, match=r"CPU|devices"):
        leaves(away(drawn(3)))
