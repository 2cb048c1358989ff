"""The operator table: entries are complete, examples work, the NumPy meanings are known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from reference import REFERENCE

from autodas_dsl.compiler import kernels
from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.format import Part, format_expression
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.kinds import Axis, Kind, integer
from autodas_dsl.language.operators import ALIASES, OPERATORS, op
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Call, Name, walk
from autodas_dsl.printing.latex import operator_latex

ENTRIES = [pytest.param(entry, id=name) for name, entry in OPERATORS.items()]


def test_every_operator_has_an_independent_meaning() -> None:
    assert set(REFERENCE) == set(OPERATORS)


def test_names_do_not_collide() -> None:
    assert not set(ALIASES) & set(OPERATORS)
    assert not set(INPUTS) & (set(OPERATORS) | set(ALIASES))


@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_is_complete(entry) -> None:
    assert entry.doc.endswith(".")
    assert operator_latex(entry)
    for attribute in entry.attrs:
        assert attribute.doc.endswith(".")
        assert attribute.low <= attribute.default <= attribute.high
        assert all(attribute.low <= v <= attribute.high for v in attribute.search)


@pytest.mark.parametrize("entry", ENTRIES)
def test_example_works(entry) -> None:
    text = example_of(entry)
    tree = parse(text)
    checked = kind_of_expression(tree)
    assert checked.ok, checked.diagnostics
    assert any(isinstance(node, Call) and node.op == entry.name for node in walk(tree))
    assert format_expression(tree) == text


def test_an_operator_with_code_sees_no_population() -> None:
    with pytest.raises(ValueError, match="one network at a time"):
        op("f", "number -> number", "{0}", "F.", group="population", latex="f")


def test_an_operator_of_unknown_group_or_law_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown group or law"):
        op("f", "x -> x", "{0}", "F.", group="misc", latex="f")
    with pytest.raises(ValueError, match="unknown group or law"):
        op("f", "x -> x", "{0}", "F.", group="norm", latex="f", laws="monotone")


# --- known values ---------------------------------------------------------------------------------


def kind(names: str, layers: str | None = None) -> Kind:
    return Kind(layers, tuple(Axis(name, integer(1)) for name in names))


def call(name: str, *args: object, names: str = "", **attrs: object) -> np.ndarray:
    """The meaning of an operator on arrays whose axes are `names`, one letter each."""
    values = {**OPERATORS[name].values(()), **attrs}
    arrays = [np.asarray(a, dtype=np.float64) if not isinstance(a, tuple) else a for a in args]
    return REFERENCE[name](arrays, values, [kind(names) for _ in args])


X = np.array([-2.0, 0.0, 0.5, 3.0])
E = np.e
SQUARE = [[2.0, 1.0], [1.0, 2.0]]  # eigenvalues 1 and 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("neg", [2, 0, -0.5, -3]),
        ("exp", [E**-2, 1, E**0.5, E**3]),
        ("abslog", [np.log(2), 0, np.log(0.5), np.log(3)]),
        ("symlog", [-np.log(3), 0, np.log(1.5), np.log(4)]),
        ("abssqrt", [2**0.5, 0, 0.5**0.5, 3**0.5]),
        ("abs", [2, 0, 0.5, 3]),
        ("sign", [-1, 0, 1, 1]),
        ("relu", [0, 0, 0.5, 3]),
        ("leaky_relu", [-0.02, 0, 0.5, 3]),
        ("sigmoid", [1 / (1 + E**2), 0.5, 1 / (1 + E**-0.5), 1 / (1 + E**-3)]),
        ("tanh", np.tanh(X)),
        ("mish", X * np.tanh(np.log(1 + np.exp(X)))),
        ("swish", X / (1 + np.exp(-X))),
        ("softplus", np.log(1 + np.exp(X))),
        ("invert", [1 / (-2 + 1e-9), 1e9, 1 / (0.5 + 1e-9), 1 / (3 + 1e-9)]),
        ("scale", [-0.5, 0.5, 0.75, 2]),
        ("normalize", (X - 0.375) / (np.sqrt(np.mean((X - 0.375) ** 2)) + 1e-9)),
        ("minmax", (X + 2) / (5 + 1e-9)),
    ],
)
def test_elementwise_values(name: str, expected: object) -> None:
    with np.errstate(divide="ignore"):
        assert_allclose(call(name, X, names="C"), expected, rtol=1e-14)


@pytest.mark.parametrize("name", ["log", "sqrt"])
def test_ieee_outside_the_domain(name: str) -> None:
    with np.errstate(all="ignore"):
        found = call(name, [-1.0, 0.0, 1.0], names="C")
    assert np.isnan(found[0])
    assert found[1] == (-np.inf if name == "log" else 0)
    assert found[2] == (0 if name == "log" else 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add", [5, 1]), ("sub", [-1, 5]), ("mul", [6, -6]), ("div", [2 / 3, -1.5]),
        ("pow", [8, 1 / 9]), ("maximum", [3, 3]), ("minimum", [2, -2]), ("dot", 0),
    ],
)  # fmt: skip
def test_binary_values(name: str, expected: object) -> None:
    assert_allclose(call(name, [2.0, 3.0], [3.0, -2.0], names="C"), expected)


def test_axes_meet_by_name() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    values = OPERATORS["add"].values(())
    for names in ("B", "C", "R", "BC", "BR", "CR"):
        at = ["BCR".index(n) for n in names]
        narrow = np.arange(np.prod([x.shape[i] for i in at])).reshape([x.shape[i] for i in at])
        shape = [x.shape[i] if i in at else 1 for i in range(3)]
        found = REFERENCE["add"]([narrow, x], values, [kind(names), kind("BCR")])
        assert_allclose(found, x + narrow.reshape(shape))


def test_a_map_meets_flat_positions() -> None:
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    flat = x.reshape(1, 2, 4)
    found = REFERENCE["sub"]([x, flat], {}, [kind("BCHW"), kind("BCR")])
    assert_allclose(found, np.zeros((1, 2, 4)))


MAP = np.array([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, -1.0], [2.0, 1.0]]]])  # B=1 C=2 H=2 W=2


def test_axis_words() -> None:
    assert_allclose(call("sum", MAP, names="BCHW", axis="HW"), [[10, 2]])
    assert_allclose(call("sum", MAP, names="BCHW", axis="C"), [[[1, 1], [5, 5]]])
    assert_allclose(call("sum", MAP, names="BCHW", axis="CHW"), [12])
    assert_allclose(call("softmax", MAP * 0, names="BCHW", axis="HW"), np.full_like(MAP, 0.25))
    assert_allclose(call("softmax", MAP * 0, names="BCHW", axis="C"), np.full_like(MAP, 0.5))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", 2), ("mean", 0.5), ("var", 3.125), ("std", 3.125**0.5), ("max", 3), ("min", -2),
        ("median", 0.5), ("numel", 4), ("norm_F", 13.5**0.5), ("norm_1", 6), ("norm_2", 13.5**0.5),
        ("norm_inf", 3),
    ],
)  # fmt: skip
def test_reductions(name: str, expected: float) -> None:
    assert_allclose(call(name, [-2.0, 0.5, 0.5, 3.0], names="C"), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("eigvals", [1, 3]), ("svdvals", [3, 1]), ("logdet", np.log(3)), ("cond", 3), ("rank", 2),
        ("prank", 16 / 10), ("norm_nuc", 4), ("diag", [2, 2]),
        ("erank", np.exp(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))),
    ],
)  # fmt: skip
def test_spectra(name: str, expected: object) -> None:
    assert_allclose(call(name, SQUARE, names="CR"), expected, rtol=1e-12)


def test_normalising() -> None:
    x = [[3.0, 4.0], [0.0, 0.0]]
    assert_allclose(call("l2norm", x, names="BC"), [[0.6, 0.8], [0, 0]])
    assert_allclose(call("l1norm", [[3.0, 1.0]], names="BC"), [[0.75, 0.25]], rtol=1e-8)
    assert_allclose(call("softmax", [[0.0, np.log(3)]], names="BC"), [[0.25, 0.75]])
    assert_allclose(call("logsoftmax", [[0.0, np.log(3)]], names="BC"), np.log([[0.25, 0.75]]))
    assert_allclose(
        call("batchnorm", [[0.0, 5.0], [2.0, 5.0]], names="BC"), [[-1, 0], [1, 0]], rtol=1e-8
    )
    assert_allclose(call("satt", MAP * 0, names="BCHW"), np.ones((1, 2, 2)))
    assert_allclose(call("satt", MAP, names="BCHW").sum(), 4)
    assert_allclose(call("natt", [[0.0], [np.log(3) / 2]], names="BC"), [[0.5], [1.5]])
    assert_allclose(call("catt", [[0.0, np.log(3) / 2]], names="BC"), [[0.5, 1.5]])
    assert_allclose(call("catt", -MAP, names="BCHW"), call("catt", MAP, names="BCHW"))


def test_random_operators_are_seeded() -> None:
    x = np.ones((64, 3, 4, 4))
    first = call("mask", x, names="BCHW")
    assert_allclose(first, call("mask", x, names="BCHW", seed=0.0))
    assert (first != call("mask", x, names="BCHW", seed=1.0)).any()
    assert_allclose(first[:, 0], first[:, 2])
    assert abs(first.mean() - 0.35) < 0.05
    dropped = call("drop", x, names="BCHW", p=0.5)
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert abs(dropped.mean() - 1) < 0.3


def test_picked_channels_are_some_of_them_in_order() -> None:
    x = np.arange(24.0).reshape(2, 4, 3)
    picked = call("pick", x, names="BCR", n=2.0)
    places = picked[0, :, 0] / 3
    assert picked.shape == (2, 2, 3)
    assert 0 <= places[0] < places[1] < 4
    assert_allclose(picked, x[:, places.astype(int)])
    chosen = {tuple(call("pick", x, names="BCR", n=2.0, seed=s)[0, :, 0]) for s in range(20)}
    assert len(chosen) > 1
    assert_allclose(call("pick", x, names="BCR"), x)


def test_transforms() -> None:
    assert_allclose(call("multiscale", MAP, names="BCHW"), [[[[4]], [[2]]]])
    assert_allclose(call("local", MAP, names="BCHW", s=1), MAP.reshape(1, 8, 1, 1))
    assert_allclose(call("batch", MAP, names="BCHW"), MAP.reshape(1, 8))
    assert_allclose(call("channel", MAP, names="BCHW"), MAP.reshape(1, 2, 4))
    assert_allclose(call("bmm", MAP, names="BCHW"), [[[30, 8], [8, 6]]])
    assert_allclose(call("bmm", [[1.0, 2.0]], names="BC"), [[[1, 2], [2, 4]]])
    assert_allclose(call("mm", [[1.0, 2.0], [3.0, 0.0]], names="BC"), [[5, 3], [3, 9]])
    signs = [[1.0, -1.0, 2.0], [1.0, 1.0, 0.0]]
    assert_allclose(call("hamming", signs, names="BC"), [[3, 1], [1, 3]])
    line = [[1.0, 2.0], [2.0, 4.0], [4.0, 1.0]]
    assert_allclose(
        call("corr", line, names="BC"), [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], rtol=1e-12
    )
    points = [[0.0, 0.0], [3.0, 4.0]]
    assert_allclose(call("reldist", points, names="BC"), [[0, 1], [1, 0]])
    corner = call("angles", [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], names="BC")
    assert_allclose(corner[0, 1, 2], 0)
    assert_allclose(corner[1, 0, 2], 1 / np.sqrt(5))
    assert_allclose(call("chancov", [[1.0, 0.0], [3.0, 2.0]], names="BC"), [[1, 1], [1, 1]])
    assert_allclose(call("chancorr", [[1.0, 0.0], [3.0, 0.0]], names="BC"), [[1, 0], [0, 0]])
    assert_allclose(call("matmul", SQUARE, SQUARE, names="CR"), [[5, 4], [4, 5]])


def test_align_pools_to_the_smaller_size() -> None:
    small = np.zeros((1, 1, 2, 1))
    found = call("align", MAP, small, names="BCHW")
    assert_allclose(found, [[[[0.5], [2.5]]]])
    assert_allclose(call("align", MAP, small, names="BCHW", axis="C"), MAP.mean(1, keepdims=True))
    assert_allclose(
        call("align", MAP, small, names="BCHW", axis="HW"), MAP.mean(axis=3, keepdims=True)
    )
    assert_allclose(call("align", small, MAP, names="BCHW"), small)
    thirds = call("align", [[1.0, 2.0, 3.0]], [[0.0, 0.0]], names="BC")
    assert_allclose(thirds, [[1.5, 2.5]])


def test_layer_lists() -> None:
    layers = (np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    assert_allclose(call("first", layers), layers[0])
    assert_allclose(call("last", layers), layers[1])
    assert_allclose(call("total", layers), [[4, 6]])
    assert_allclose(call("concat", layers), [[1, 2, 3, 4]])
    assert_allclose(call("patterns", [[1.0, -1.0, 2.0], [1.0, 1.0, 3.0]], names="BC"), 2)


A, B = [[0.0, 0.0]], [[0.0, np.log(3)]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("L1", np.log(3) / 2), ("L2", np.log(3) ** 2 / 2), ("smoothL1", (np.log(3) - 0.5) / 2),
        ("KL", 0.25 * np.log(0.5) + 0.75 * np.log(1.5)), ("hard", np.log(2)),
        ("pairwise", np.log(3)),
    ],
)  # fmt: skip
def test_distances(name: str, expected: float) -> None:
    assert_allclose(call(name, A, B, names="BC"), expected, rtol=1e-14)
    if name != "hard":
        assert_allclose(call(name, B, B, names="BC"), 0, atol=1e-15)


def test_temperature_and_positions_of_kl() -> None:
    halved = call("KL", A, np.array(B) * 2, names="BC", T=2.0)
    assert_allclose(halved, 4 * call("KL", A, B, names="BC"))
    twice = [np.repeat(np.array(x)[:, :, None], 2, axis=2) for x in (A, B)]
    assert_allclose(call("KL", *twice, names="BCR"), 2 * call("KL", A, B, names="BC"))


def test_similarities() -> None:
    a, b = [[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, -2.0]]
    assert_allclose(call("cosine", a, b, names="BC"), 1)
    assert_allclose(call("cosine", a, a, names="BC"), 0)
    assert_allclose(call("pearson", [[1.0, 2.0, 3.0]], [[3.0, 5.0, 7.0]], names="BC"), 0, atol=1e-9)
    assert_allclose(call("CKA", a, [[5.0, 0.0], [0.0, 0.0]], names="BC"), 0, atol=1e-9)
    assert_allclose(call("MMD", a, b, names="BC"), (0.5**2 + 0) * 1 + 2**2, rtol=1e-12)
    assert_allclose(call("MMD", a, a, names="BC", degree=2), 0, atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 3.0, 0.1])
def test_corr_of_a_constant_row_is_not_finite_whatever_rounds(shift: float) -> None:
    rows = torch.tensor([[0.1, 0.1, 0.1], [1.0, 2.0, 4.0]], dtype=torch.float64) + shift
    found = kernels.corr(rows, 2)
    assert found[0].isnan().all()
    assert found[1, 1] == pytest.approx(1)


def test_notation_stands_in_the_entry() -> None:
    for entry in OPERATORS.values():
        tree = Call(entry.name, (Name("x"), Name("y"))[: entry.arity])
        text = entry.text.format(*(Part("x"), Part("y"))[: entry.arity], attrs="")
        assert format_expression(tree) == text
        assert parse(text) == tree
    mine = op("mine", "x -> x", "{0}", "Mine.", group="normalise", axis="C B")
    assert (mine.text, mine.graph) == ("mine{attrs}({0})", "mine")
    assert mine.latex == r"\operatorname{{mine}}{axis}\!\left({0}\right)"
    with pytest.raises(TypeError, match="sign"):
        op("mine", "x -> x", "{0}", "Mine.", group="normalise", sign="~")
