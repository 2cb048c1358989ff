"""The engine gives what the interpreter gives, and every value regardless of the company it is in."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_formulas import CHOSEN, UNFIT, of_operators
from fake_networks import fake, networks, node

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import Invalid, interpret
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.layout import Layout
from autodas_dsl.compiler.memo import Memo
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import build
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.operators import OPERATORS

OPERATOR_FORMULAS = of_operators()
EVERYTHING = tuple(dict.fromkeys((*CHOSEN, *OPERATOR_FORMULAS.values())))


def interpreted(root: Node, nets: list) -> list[float | str]:
    found: list[float | str] = []
    for net in nets:
        try:
            found.append(interpret(root, net))
        except Invalid as error:
            found.append(str(error))
    return found


def assert_agrees(outcome: Outcome, expected: list[float | str], text: str) -> None:
    for score, reason, wanted in zip(outcome.scores, outcome.reasons, expected, strict=True):
        if isinstance(wanted, str):
            assert math.isnan(score), text
            assert reason, text
        else:
            assert score == pytest.approx(wanted, rel=1e-9, abs=1e-12), text
            assert not reason


@pytest.fixture(scope="module")
def nets() -> list:
    return networks()


@pytest.fixture(scope="module")
def together(nets) -> dict[str, Outcome]:
    roots = [node(text) for text in EVERYTHING]
    return dict(zip(EVERYTHING, Engine(nets).evaluate(roots), strict=True))


def test_values_much_larger_than_the_statistics_are_made_for_one_network_at_a_time() -> None:
    """All angles between 16 numbers are 4,096 values, although they have fewer axes than maps."""
    maps = Statistic("F_s")
    nets = [
        replace(one, values={maps: torch.rand(16, 2, 2, 2, dtype=torch.float64)})
        for one in networks()
    ]
    engine = Engine(nets)
    for text, apart in (("sum(angles(mean[CHW](F_s)))", True), ("sum(mean[CHW](F_s))", False)):
        stages = build([node(text)], placement=Layout(nets, 0)).stages
        assert any(stage.name.endswith("_singly") for stage in stages) is apart
        expected = interpreted(node(text), nets)
        assert_agrees(engine.evaluate([node(text)])[0], expected, text)


def test_every_operator_is_tried() -> None:
    pairs_only = {"align"}  # among the chosen formulas
    placed = {name for name, entry in OPERATORS.items() if entry.sees_population}
    assert set(OPERATOR_FORMULAS) >= set(OPERATORS) - pairs_only - placed


@pytest.mark.parametrize("text", EVERYTHING)
def test_equals_the_interpreter(text: str, together, nets) -> None:
    assert_agrees(together[text], interpreted(node(text), nets), text)


@pytest.mark.parametrize("text", EVERYTHING)
def test_population_equals_one_by_one_bit_for_bit(text: str, together, nets) -> None:
    alone = Engine(nets).evaluate([node(text)])[0]
    assert alone.scores.tobytes() == together[text].scores.tobytes()
    assert alone.reasons == together[text].reasons


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_order_and_memory_change_no_bit(dtype: torch.dtype) -> None:
    nets = networks(dtype)
    roots = [node(text) for text in EVERYTHING]
    plain = [o.scores.tobytes() for o in Engine(nets).evaluate(roots)]
    engine = Engine(nets, memory=0)  # nothing is kept
    backwards = [engine.evaluate([root])[0].scores.tobytes() for root in reversed(roots)]
    assert backwards[::-1] == plain


def test_known_numbers_are_not_computed_again_and_give_the_same_bytes(nets) -> None:
    engine = Engine(nets)
    first, second = node("mean(|exp(W)|_F) + 1"), node("mean(|exp(W)|_F) * mean(|exp(W)|_F)")
    engine.evaluate([first])
    before = engine.computed
    again = engine.evaluate([first, second])
    assert engine.computed - before <= 4  # mean, +, *
    fresh = Engine(nets).evaluate([first, second])
    assert [a.scores.tobytes() for a in again] == [f.scores.tobytes() for f in fresh]


def test_blocks_do_not_depend_on_what_is_asked(nets) -> None:
    engine = Engine(nets)
    before = [b.units.tolist() for b in engine._layout.blocks("lin", 3)]
    engine.evaluate([node(text) for text in CHOSEN])
    assert [b.units.tolist() for b in engine._layout.blocks("lin", 3)] == before


def test_float32_is_close_to_float64() -> None:
    texts = CHOSEN[:2]
    low = Engine(networks(torch.float32)).evaluate([node(t) for t in texts])
    high = Engine(networks()).evaluate([node(t) for t in texts])
    for a, b in zip(low, high, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-4)


# --- invalid scores -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sum(mean(log(W)))", "`log` gave nan in layer l0"),
        ("sum(sum(sign(log(W))))", "`log` gave nan in layer l0"),
        ("1 / (params - params)", "`/` gave inf"),
        ("log(-params)", "`log` gave nan"),
        ("mean(exp(1000 * abs(F_s)))", "`exp` gave inf"),
    ],
)
def test_the_reason_names_the_operator(text: str, reason: str, nets) -> None:
    outcome = Engine(nets).evaluate([node(text)])[0]
    assert not outcome.valid.any()
    assert outcome.reasons == (reason,) * len(nets)


def test_only_the_networks_concerned_are_invalid(nets) -> None:
    outcome = Engine(nets).evaluate([node("sqrt(params - 1002)")], every_reason=True)[0]
    assert outcome.valid.tolist() == [False, False, True, True, True, True]
    assert [bool(reason) for reason in outcome.reasons] == [True, True, False, False, False, False]


@pytest.mark.parametrize("text", UNFIT)
def test_shapes_that_do_not_fit_are_an_invalid_score(text: str, nets) -> None:
    fine = node("mean(F_s)")
    engine = Engine(nets)
    unfit, alone = engine.evaluate([node(text), fine])
    assert not unfit.valid.all()
    assert_agrees(unfit, interpreted(node(text), nets), text)
    assert alone.scores.tobytes() == Engine(nets).evaluate([fine])[0].scores.tobytes()


# --- lists of different length --------------------------------------------------------------------


@pytest.fixture(scope="module")
def reusing() -> list:
    """The second network uses its first layer three times."""
    return [fake(0, 3), fake(1, 2, calls=4), fake(2, 4)]


@pytest.mark.parametrize(
    "text", ["sum(mean(A))", "sum(|A * grad A|_F)", "sum(|W|_F) + mean(max(A))"]
)
def test_a_layer_used_again_has_as_many_outputs(text: str, reusing) -> None:
    outcome = Engine(reusing).evaluate([node(text)])[0]
    assert outcome.valid.all()
    assert_agrees(outcome, interpreted(node(text), reusing), text)


@pytest.mark.parametrize(
    "text", ["sum(|W|_F * mean(A))", "sum(mean(A) * fan_in)", "L1(|W|_F, |A|_F)"]
)
def test_outputs_and_weights_of_a_layer_used_again_do_not_combine(text: str, reusing) -> None:
    outcome = Engine(reusing).evaluate([node(text)])[0]
    assert outcome.valid.tolist() == [True, False, True]
    assert "layer lists of" in outcome.reasons[1]
    assert "used more than once" in outcome.reasons[1]
    assert_agrees(outcome, interpreted(node(text), reusing), text)


def test_a_network_without_layers_of_a_list() -> None:
    nets = [fake(0, 3), fake(1, 2)]
    bare = fake(2, 2)
    bare.values[Statistic("X")] = ()
    engine = Engine([*nets, bare])
    outcome, gathered = engine.evaluate([node("sum(mean(X))"), node("mean(first(abs(X)))")])
    assert outcome.valid.tolist() == gathered.valid.tolist() == [True, True, False]
    assert outcome.reasons[2] == "`mean` needs a layer list; this network has no activation"


# --- memory ---------------------------------------------------------------------------------------


def test_the_memo_stays_within_its_budget_and_drops_the_oldest() -> None:
    nodes = [node(f"params + {n}") for n in range(2, 12)]
    memo = Memo(5 * 1000)
    for one in nodes:
        memo.add(one, torch.zeros(50, dtype=torch.float64))
    assert len(memo) == 5
    assert nodes[-1] in memo
    assert nodes[0] not in memo
    memo[nodes[5]]  # used: stays longest
    memo.add(nodes[0], torch.zeros(50, dtype=torch.float64))
    assert nodes[5] in memo
    assert nodes[6] not in memo


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 9 bytes")])
def test_formulas_that_memory_does_not_hold_together_are_evaluated_in_parts(
    error: Exception, nets: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [node(text) for text in CHOSEN[:5]]
    expected = Engine(nets).evaluate(roots)
    tried = []

    def tight(fit: list[Node], *given: object) -> object:
        tried.append(len(fit))
        if len(fit) > most:
            raise error
        return build(fit, *given)

    monkeypatch.setattr("autodas_dsl.compiler.engine.pipeline.build", tight)
    most = 1
    for one, other in zip(Engine(nets).evaluate(roots), expected, strict=True):
        assert one.scores.tobytes() == other.scores.tobytes()
    assert tried == [5, 2, 1, 1, 3, 1, 2, 1, 1]
    most = 0
    with pytest.raises(type(error)):
        Engine(nets).evaluate(roots[:1])


def test_memory_that_runs_out_inside_a_program_is_no_misfit(
    nets: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] not enough memory: 9 bytes")

    monkeypatch.setattr("autodas_dsl.compiler.layout._stack", full)
    with pytest.raises(RuntimeError, match="not enough memory"):
        Engine(nets).evaluate([node("sum(|W|_F)")])


@pytest.mark.parametrize("budget", [0, 3000, 1 << 20])
def test_stacked_blocks_stay_within_their_room(budget: int, nets) -> None:
    layout = Layout(nets, budget)
    blocks = [b for tier in (2, 3) for b in layout.blocks("lin", tier)]
    tensors = [block.tensor(s) for block in blocks for s in block.sources]
    assert layout.room.left >= 0
    kept = sum(t.nbytes for block in blocks for t in block._kept.values())
    assert kept == budget - layout.room.left
    assert (kept == sum(t.nbytes for t in tensors)) == (budget == 1 << 20)
