"""Random trees and their variation: everything checks, pairs stay in step, seeds decide."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.identity import (
    in_step,
    is_leaf_pair,
    oriented,
    settled,
    side,
    unsigned,
    written_out,
)
from autodas_dsl.evolution.plausible import plausible, risky
from autodas_dsl.evolution.vary import MUTATIONS, Varier, crossover
from autodas_dsl.evolution.vocabulary import (
    Vocabulary,
    attributes,
    chosen_operators,
    chosen_statistics,
    needs_gradient,
)
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.language.check import check
from autodas_dsl.language.documents import expression_proxy
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.infer import Typing, never
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.kinds import NUMBER, Requirement
from autodas_dsl.language.library import library_names, library_proxy
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Call, Expr, Name, PairOf, complexity, put, walk

EVERYTHING = tuple(name for name in INPUTS if name not in ("params", "flops", "layers"))
SAME_LOGITS = {"K_s = K_t"}
LIMIT = 20


def _allowed(requirement: Requirement) -> bool:
    return str(requirement) in SAME_LOGITS


def _varier(terms: str = "both", inputs: tuple[str, ...] = EVERYTHING) -> Varier:
    statistics = chosen_statistics(inputs)
    return Varier(Generator(Vocabulary(statistics, chosen_operators(), terms, _allowed), LIMIT))


VARIERS = {terms: _varier(terms) for terms in ("both", "instinct", "interaction")}
POOL = {
    terms: [
        varier.generator.formula(Stream(7, 0, slot, Purpose.TEST)) for slot in range(150)
    ]
    for terms, varier in VARIERS.items()
}  # fmt: skip


def _is_formula(expr: Expr) -> None:
    found = check(expr)
    text = format_expression(expr)
    assert found.ok, (text, found.diagnostics)
    assert set(map(str, found.requirements)) <= SAME_LOGITS, text
    assert complexity(expr) <= LIMIT
    assert plausible(expr)
    assert parse(text) == expr
    assert to_ir(expr).kind == NUMBER


def _in_step(expr: Expr) -> None:
    """Teacher statistics stand only beside the student's, in a leaf pair."""
    inside = {id(m) for n in walk(expr) if is_leaf_pair(n) for m in (n.first, n.second)}
    for node in walk(expr):
        if isinstance(node, Name) and side(node) == "_t":
            assert id(node) in inside, format_expression(expr)


@pytest.mark.parametrize("terms", VARIERS)
@settings(max_examples=150, deadline=None)
@given(slot=st.integers(0, 2**40))
def test_every_generated_formula_checks(terms: str, slot: int) -> None:
    expr = VARIERS[terms].generator.formula(Stream(1, 2, slot, Purpose.TEST))
    _is_formula(expr)
    _in_step(expr)


@pytest.mark.parametrize("terms", VARIERS)
@settings(max_examples=150, deadline=None)
@given(slot=st.integers(0, 2**40))
def test_every_mutant_and_child_checks(terms: str, slot: int) -> None:
    varier, stream = VARIERS[terms], Stream(3, 4, slot, Purpose.TEST)
    first, second = stream.pick(POOL[terms]), stream.pick(POOL[terms])
    for expr in (varier.mutated(stream, first), varier.crossed(stream, first, second)):
        _is_formula(expr)
        _in_step(expr)


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_mutation_finds_something_and_what_it_finds_checks(name: str) -> None:
    varier, changed = VARIERS["both"], 0
    for slot, expr in enumerate(POOL["both"]):
        found = MUTATIONS[name][0](varier, Stream(5, 6, slot, Purpose.TEST), expr)
        if found is not None and found != expr:
            _is_formula(found)
            _in_step(found)
            changed += 1
    assert changed >= 5


def test_crossover_takes_from_both() -> None:
    first, second = parse("mean(|exp(W)|_F) + CKA([F_s, F_t])"), parse("sum(|sigmoid(grad W)|_1)")
    seen = set()
    for slot in range(40):
        found = crossover(VARIERS["both"], Stream(0, 0, slot, Purpose.TEST), first, second)
        assert found is not None
        seen.add(format_expression(found))
    assert any("grad W" in text and "F_t" in text for text in seen)


def test_terms_are_about_what_was_asked() -> None:
    def names(expr: Expr) -> set[str]:
        return {side(node) for node in walk(expr) if isinstance(node, Name)}

    assert all("_t" not in names(expr) for expr in POOL["instinct"])
    assert all(names(expr) == {"_s", "_t"} for expr in POOL["interaction"])
    both = [names(expr) for expr in POOL["both"]]
    assert any("_t" in found for found in both)
    assert any("_t" not in found for found in both)


def test_generation_is_varied() -> None:
    texts = {format_expression(expr) for expr in POOL["both"]}
    operators = {n.op for expr in POOL["both"] for n in walk(expr) if isinstance(n, Call)}
    assert len(texts) > 0.9 * len(POOL["both"])
    assert len(operators) > 50


def test_requirements_that_do_not_hold_are_not_written() -> None:
    strict = Typing(never)
    assert strict.kind(parse("L2([F_s, F_t])")) is None
    assert strict.kind(parse("L2(align([F_s, F_t]))")) == NUMBER
    lenient = Typing(lambda requirement: True)
    assert lenient.kind(parse("L2([F_s, F_t])")) == NUMBER


def test_kinds_agree_with_the_checker_on_the_library() -> None:
    typing = Typing(lambda requirement: True)
    for name in library_names():
        assert typing.kind(written_out(library_proxy(name))) == NUMBER, name


def test_kinds_of_wrong_trees_are_missing() -> None:
    assert Typing(never).kind(parse("mean(eigvals(W)) + sum(|grad W|_F)")) is None
    assert Typing(never).kind(parse("sum(|grad W|_F)")) == NUMBER
    assert Typing(never).kind(parse("W[nonsense]")) is None
    assert Typing(never).kind(PairOf(PairOf(parse("W"), parse("W")), parse("W"))) is None


def test_seeds_of_the_library_vary() -> None:
    """Library formulas are inlined, put in step, and every mutation of them checks."""
    varier = Varier(Generator(Vocabulary(
        chosen_statistics(EVERYTHING), chosen_operators(), "both", lambda requirement: True), 60))  # fmt: skip
    for number, name in enumerate(library_names()):
        seed = varier.settled(written_out(library_proxy(name)))
        if seed is None:
            continue
        for slot in range(5):
            found = check(varier.mutated(Stream(0, number, slot, Purpose.TEST), seed))
            assert found.ok, name


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("KL(sigmoid(F_s), sigmoid(F_t))", "KL(sigmoid([F_s, F_t]))"),
        ("L2([mm(F_s), mm(F_t)])", "L2(mm([F_s, F_t]))"),
        ("L2(mm(F_s), mm(F_t)) + sum(|W|_F)", "L2(mm([F_s, F_t])) + sum(|W|_F)"),
        ("L2(mm(grad V_s), mm(grad V_t))", "L2(mm([grad V_s, grad V_t]))"),
        ("L2(mm(F_s), mm(E_t))", "L2(mm(F_s), mm(E_t))"),
        ("L2(F_t, F_s)", "L2(F_t, F_s)"),
        ("CKA([F_s, F_t])", "CKA([F_s, F_t])"),
        ("KL(align([F_s, F_t]))", "KL(align([F_s, F_t]))"),
    ],
)
def test_in_step(written: str, kept: str) -> None:
    before, after = parse(written), in_step(parse(written))
    assert format_expression(after) == kept
    assert repr(to_ir(after)) == repr(to_ir(before))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("-sum(|W|_F)", "sum(|W|_F)"),
        ("2 * -sum(|W|_F)", "sum(|W|_F)"),
        ("sum(|W|_F) / 3 + 1", "sum(|W|_F)"),
        ("1 / sum(|W|_F)", "1 / sum(|W|_F)"),
        ("0 * sum(|W|_F)", "0 * sum(|W|_F)"),
        ("params^2", "params^2"),
    ],
)
def test_signs_and_factors_at_the_root_are_idle(written: str, kept: str) -> None:
    assert format_expression(unsigned(parse(written))) == kept


def test_a_leading_minus_is_never_doubled() -> None:
    assert format_expression(oriented(parse("sum(|W|_F)"), -1)) == "-sum(|W|_F)"
    assert format_expression(oriented(parse("-sum(|W|_F)"), -1)) == "sum(|W|_F)"
    assert format_expression(oriented(parse("params"), 1)) == "params"


def test_lets_and_library_names_are_written_out() -> None:
    expr = written_out(expression_proxy("grad_norm + params"))
    assert format_expression(expr) == "sum(|grad W|_F) + params"


def test_settled_formulas_keep_their_ranking_text() -> None:
    assert format_expression(settled(parse("-KL(sigmoid(P_s), sigmoid(P_t))"))) == (
        "KL(sigmoid([P_s, P_t]))"
    )


@pytest.mark.parametrize(
    "text", ["abs(abs(W))", "-(-params)", "sigmoid(tanh(params))", "exp(exp(params))",
             "params - params", "2 + 3", "params^1", "1 * params", "numel(exp(W))"],
)  # fmt: skip
def test_idle_trees_are_not_plausible(text: str) -> None:
    assert not plausible(parse(text))


@pytest.mark.parametrize("text", ["params", "sum(|W|_F)", "params^2", "2 * params", "numel(W)"])
def test_trees_that_say_something_are_plausible(text: str) -> None:
    assert plausible(parse(text))


def test_attributes_to_draw_are_valid_and_first_the_defaults() -> None:
    for entry in OPERATORS.values():
        drawn = attributes(entry)
        assert drawn[0] == ()
        assert len(set(drawn)) == len(drawn)
    assert (("T", 4.0),) in attributes(OPERATORS["KL"])
    assert (("", "B"),) in attributes(OPERATORS["softmax"])


def test_gradient_free() -> None:
    kept = chosen_statistics(EVERYTHING, gradient_free=True)
    assert kept
    assert not any(needs_gradient(statistic) for statistic in kept)
    assert {"J", "NTK[n=16]", "grad W", "grad A", "hess W"}.isdisjoint(map(str, kept))


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("E620", lambda: Vocabulary(chosen_statistics(["F_t"]), ("sum",))),
        ("E621", lambda: Vocabulary(chosen_statistics(["F_s"]), ("sum",), "interaction")),
        ("E622", lambda: chosen_statistics(["grad Q"])),
        ("E622", lambda: chosen_statistics(["sum(W)"])),
        ("E622", lambda: chosen_statistics(["W["])),
        ("E623", lambda: chosen_statistics(["grad W"], gradient_free=True)),
        ("E623", lambda: chosen_statistics([])),
        ("E624", lambda: chosen_operators(["softmaxx"])),
        ("E624", lambda: chosen_operators(["percentile"])),
        ("E624", lambda: chosen_operators(["population"])),
    ],
)
def test_wrong_vocabularies(code: str, make: object) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert caught.value.diagnostics[0].code == code


def test_operators_by_name_and_group() -> None:
    chosen = chosen_operators(["norm", "log_softmax"])
    assert {"norm_F", "norm_1", "logsoftmax", "sum", "mean"} <= set(chosen)
    assert "sigmoid" not in chosen
    assert "concat" not in chosen_operators()


def test_only_chosen_operators_and_inputs_are_written() -> None:
    words = chosen_operators(["norm_F", "logsoftmax", "add"])
    varier = Varier(Generator(Vocabulary(chosen_statistics(["W", "grad W"]), words), 12))
    for slot in range(200):
        stream = Stream(0, 0, slot, Purpose.TEST)
        expr = varier.mutated(stream, varier.generator.formula(stream))
        assert {n.op for n in walk(expr) if isinstance(n, Call)} <= set(words)
        assert {n.prefix + n.text for n in walk(expr) if isinstance(n, Name)} <= {"W", "gradW"}


def test_what_is_collected_in_place_of_activations_is_not_taken_apart() -> None:
    """Inputs without activations, formulas of the library among the parents: nothing reads `A`."""
    inputs = ("chancov(A)", "chancorr(A)", "chancov(grad A)", "W")
    varier = _varier("instinct", inputs)
    seeds = [written_out(library_proxy(name)) for name in ("dims", "meco")]
    pool = [*seeds, *(varier.generator.formula(Stream(1, 1, n, Purpose.TEST)) for n in range(60))]
    spectra = 0
    for slot in range(300):
        stream = Stream(2, 2, slot, Purpose.TEST)
        first, second = stream.pick(pool), stream.pick(pool)
        for expr in (varier.mutated(stream, first), varier.crossed(stream, first, second)):
            _is_formula(expr)
            read = set(map(str, needed([to_ir(expr)])))
            assert read <= set(inputs), format_expression(expr)
            spectra += "eigvals(chan" in format_expression(expr)
    assert spectra
    assert str(chosen_statistics(["chancov( grad A )"])[0]) == "chancov(grad A)"
    assert not chosen_statistics(["chancov(grad A)", "W"], gradient_free=True)[0].prefix
    with pytest.raises(InputError, match="E622"):
        chosen_statistics(["chancov(W)"])


def test_streams_depend_on_every_part_of_their_key_and_nothing_else() -> None:
    keys = [(0, 0, 0, Purpose.FRESH), (1, 0, 0, Purpose.FRESH), (0, 1, 0, Purpose.FRESH),
            (0, 0, 1, Purpose.FRESH), (0, 0, 0, Purpose.VARY)]  # fmt: skip
    drawn = [tuple(s.below(2**32) for _ in range(4)) for s in (Stream(*key) for key in keys)]
    assert len(set(drawn)) == len(keys)
    again = Stream(*keys[0])
    assert tuple(again.below(2**32) for _ in range(4)) == drawn[0]


def test_stream_draws() -> None:
    stream = Stream(0, 0, 0, Purpose.TEST)
    assert {stream.below(3) for _ in range(100)} == {0, 1, 2}
    assert {stream.between(2, 3) for _ in range(50)} == {2, 3}
    assert all(0 <= stream.unit() < 1 for _ in range(100))
    assert sorted(stream.shuffled(range(10))) == list(range(10))
    assert len(stream.sample(range(3), 9)) == 3
    assert {stream.weighted("ab", [0.0, 1.0]) for _ in range(20)} == {"b"}
    assert abs(sum(stream.normal() for _ in range(2000)) / 2000) < 0.1


def test_paths_are_those_of_the_tree() -> None:
    expr = parse("CKA([F_s, F_t]) + 1")
    found = {place.path: format_expression(place.expr) for place in VARIERS["both"].places(expr)}
    assert found[(0, 0)] == "[F_s, F_t]"  # touched as a whole
    assert found[(1,)] == "1"
    assert format_expression(put(expr, (0, 0, 1), parse("E_t"))) == "CKA([F_s, E_t]) + 1"


def test_commuting_operands_of_both_networks_lower() -> None:
    """The order of arguments may change, and with it whose size symbol a kind carries."""
    assert to_ir(parse("sum(max(P_t, P_s))")) is to_ir(parse("sum(max(P_s, P_t))"))


@pytest.mark.parametrize(
    "text", ["MMD(max[C](E_s), max[C](E_t))", "sum(align([mean[B](E_s), mean[B](E_t)]))"]
)
def test_comparisons_of_too_few_axes_are_refused(text: str) -> None:
    assert Typing(lambda requirement: True).kind(parse(text)) is None


@pytest.mark.parametrize("text", ["|W|", "exp(W)", "sum(|W|_F)", "W^2", "params", "sigmoid(W) + 1"])
def test_roots_and_logarithms_are_taken_of_what_is_not_negative(text: str) -> None:
    assert not risky("sqrt", parse(text))


@pytest.mark.parametrize("text", ["W", "log(|W|)", "|W| - 1", "W^3", "grad W", "[F_s, F_t]"])
def test_roots_and_logarithms_are_not_taken_of_what_may_be_negative(text: str) -> None:
    assert risky("log", parse(text))
    assert not risky("tanh", parse(text))
