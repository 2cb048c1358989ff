"""Distillation losses are library formulas, and torch differentiates them as it does plain code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.ir import topological
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.documents import expression_proxy
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import library_proxy
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.training.criterion import Distance, criterion_of
from autodas_dsl.training.losses import LOSSES
from autodas_dsl.training.recipe import Recipe

TEMPERATURE = 4.0
EQUAL = ("dkd", "ickd", "kd")
"""What needs equal classes or channels."""
FORMULAS = sorted(name for name, loss in LOSSES.items() if not loss.module)
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])
Y = Statistic("Y")


def named(name: str, temperature: float = TEMPERATURE) -> Distance:
    return Distance(library_proxy(name), temperature)


# --- the same in plain torch, as their authors write them ----------------------------------------


def kd(a: Tensor, b: Tensor) -> Tensor:
    own, wanted = (F.log_softmax(x / TEMPERATURE, 1) for x in (a, b))
    return TEMPERATURE**2 * (wanted.exp() * (wanted - own)).sum(1).mean()


def cc(a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(a @ a.T, b @ b.T)


def rkd(a: Tensor, b: Tensor) -> Tensor:
    def distances(rows: Tensor) -> Tensor:
        squared = (rows[:, None] - rows[None]).square().sum(-1)
        apart = ~torch.eye(len(rows), dtype=torch.bool)
        found = squared.clamp_min(1e-12).sqrt() * apart
        return found / found[apart].mean()

    def angles(rows: Tensor) -> Tensor:
        directions = F.normalize(rows[None] - rows[:, None], dim=-1)
        return directions @ directions.transpose(1, 2)

    return 25 * F.smooth_l1_loss(distances(a), distances(b)) + 50 * F.smooth_l1_loss(
        angles(a), angles(b)
    )


def pkt(a: Tensor, b: Tensor) -> Tensor:
    def similarities(rows: Tensor) -> Tensor:
        unit = F.normalize(rows, dim=1)
        scaled = (unit @ unit.T + 1) / 2
        return scaled / scaled.sum(1, keepdim=True)

    p, q = similarities(a), similarities(b)
    return (q * ((q + 1e-7) / (p + 1e-7)).log()).mean()


def pooled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    size = (min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3]))
    return F.adaptive_avg_pool2d(a, size), F.adaptive_avg_pool2d(b, size)


def at(a: Tensor, b: Tensor) -> Tensor:
    one, other = (F.normalize(x.square().mean(1).flatten(1), dim=1) for x in pooled(a, b))
    return F.mse_loss(one, other)


def sp(a: Tensor, b: Tensor) -> Tensor:
    one, other = (F.normalize(x.flatten(1) @ x.flatten(1).T, dim=1) for x in (a, b))
    return F.mse_loss(one, other)


def nst(a: Tensor, b: Tensor) -> Tensor:
    x, y = (F.normalize(one.flatten(2), dim=2) for one in pooled(a, b))

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        return (one @ other.transpose(1, 2)).square().mean((1, 2))

    return (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)).mean()


def ickd(a: Tensor, b: Tensor) -> Tensor:
    def gram(x: Tensor) -> Tensor:
        rows = x.flatten(2)
        return F.normalize(rows @ rows.transpose(1, 2), dim=2)

    return (gram(a) - gram(b)).square().sum(2).mean()


def dkd(a: Tensor, b: Tensor) -> Tensor:
    mask = F.one_hot(LABELS, 5).bool()

    def parted(x: Tensor) -> Tensor:
        p = F.softmax(x / TEMPERATURE, 1)
        return torch.stack([(p * mask).sum(1), (p * ~mask).sum(1)], 1)

    target = F.kl_div(parted(a).log(), parted(b), reduction="batchmean")
    one, other = (x / TEMPERATURE - 1000 * mask for x in (a, b))
    rest = F.kl_div(F.log_softmax(one, 1), F.softmax(other, 1), reduction="batchmean")
    return TEMPERATURE**2 * (target + 8 * rest)


PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kd": kd, "at": at, "sp": sp, "nst": nst, "ickd": ickd, "cc": cc, "rkd": rkd, "pkt": pkt, "dkd": dkd,
}  # fmt: skip


# --- what they are given --------------------------------------------------------------------------


def drawn(
    name: str, who: str, *, classes: int = 5, width: int = 4, side: int = 2, dead: bool = False
) -> tuple[Statistic, Tensor]:
    """What a loss compares of one network; `dead` has a channel that is 0, as ReLU leaves them."""
    (letter,) = {s.name[0] for s in named(name).statistics if s != Y}
    shape = {"P": (6, classes), "E": (6, width), "F": (6, width, side, side)}[letter]
    generator = torch.Generator().manual_seed(ord(who))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    if dead:
        x = torch.cat([x[:, :1] * 0, x[:, 1:].abs() + 0.1], 1)
    return Statistic(f"{letter}_{who}"), x


def compared(name: str, own: Statistic, other: Statistic, taught: Tensor) -> Callable[..., Tensor]:
    distance = named(name)
    return lambda x: distance({own: x, Y: labels(x)}, {other: taught})


def labels(x: Tensor) -> Tensor:
    return F.one_hot(LABELS, 5).to(x.dtype)


def test_each_loss_has_a_plain_form() -> None:
    assert sorted(PLAIN) == FORMULAS


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dead", [False, True])
def test_a_loss_and_its_gradient_are_those_of_plain_torch(name: str, dead: bool) -> None:
    (own, a), (other, b) = drawn(name, "s", dead=dead), drawn(name, "t", dead=dead)
    distance = compared(name, own, other, b)
    a.requires_grad_()
    found, expected = distance(a), PLAIN[name](a, b)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)
    (grad,), (wanted,) = torch.autograd.grad(found, [a]), torch.autograd.grad(expected, [a])
    assert grad.isfinite().all()
    assert grad.abs().sum() > 0
    torch.testing.assert_close(grad, wanted, rtol=1e-5, atol=1e-9)
    if not dead:
        assert torch.autograd.gradcheck(distance, (a,))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_is_the_library_proxy_with_the_sign_turned(name: str) -> None:
    (own, a), (other, b) = drawn(name, "s"), drawn(name, "t")
    score = interpret(to_ir(name), Collected({own: a, other: b, Y: labels(a)}))
    distance = compared(name, own, other, b)
    assert float(distance(a)) == -score > 1e-6
    assert float(distance(b)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", FORMULAS)
def test_in_single_precision_too_gradients_are_finite(name: str) -> None:
    (own, a), (other, b) = drawn(name, "s", dead=True), drawn(name, "t", dead=True)
    a = a.float().requires_grad_()
    (grad,) = torch.autograd.grad(compared(name, own, other, b.float())(a), [a])
    assert grad.isfinite().all()
    assert grad.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - set(EQUAL)))
def test_losses_between_different_shapes(name: str) -> None:
    (own, a), (other, b) = drawn(name, "s"), drawn(name, "t", classes=7, width=9, side=4)
    named(name).meet({own: a}, {other: b}, None)
    assert compared(name, own, other, b)(a).isfinite()


@pytest.mark.parametrize(("name", "what"), [
    ("kd", "5 classes, the teacher 7"),
    ("dkd", "5 classes, the teacher 7"),
    ("ickd", "4 channels, the teacher 9"),
])  # fmt: skip
def test_losses_that_need_equal_ones(name: str, what: str) -> None:
    (own, a), (other, b) = drawn(name, "s"), drawn(name, "t", classes=7, width=9)
    with pytest.raises(InputError, match=what):
        named(name).meet({own: a, Y: labels(a)}, {other: b}, None)


def test_the_temperature_is_that_of_the_recipe() -> None:
    (own, a), (other, b) = drawn("kd", "s"), drawn("kd", "t")
    at_one = -F.log_softmax(a, 1)
    expected = (F.softmax(b, 1) * (F.log_softmax(b, 1) + at_one)).sum(1).mean()
    torch.testing.assert_close(named("kd", 1.0)({own: a}, {other: b}), expected)


# --- formulas of one's own ------------------------------------------------------------------------

FLAT = ("hamming", "numel", "patterns", "rank", "sign")
"""Operators that have no gradient."""
ELSEWHERE = ("concat", "first", "last", "percentile", "standardise", "total")
"""Operators on layer lists or populations, which a loss has none of."""
SMOOTH = (
    "L2(F_s, F_t) + L1(E_s, E_t) - smoothL1(P_s, P_t) / 3 + dot(E_s, E_t) * 2",
    "KL[T=2](P_s, P_t) + hard(P_s, P_t) + cosine(E_s, E_t) + pearson(P_s, P_t) + cosine(P_s, Y)",
    "pairwise(F_s, F_t) + CKA(F_s, E_t) + MMD(F_s, F_t)",
    "mean(max(F_s, F_t) + min(F_s, F_t)^2) + |F_s|_F + |E_s|_1 + |P_s|_inf + |P_s|_2",
    "mean(exp(P_s) + log(exp(P_s) + 1) + abslog(P_s) + symlog(P_s) + sqrt(exp(P_s)) + abssqrt(P_s))",
    "mean((|P_s| + relu(P_s) + leaky_relu(P_s) + sigmoid(P_s) + tanh(P_s) + mish(P_s)) * P_t)",
    "mean((swish(P_s) + softplus(P_s) + invert(P_s) + scale(P_s) + softmax(P_s)) * P_t)",
    "mean((logsoftmax(F_s) + normalize(F_s) + minmax(F_s) + batchnorm(F_s) + l2norm(F_s)) * F_t)",
    "L2(pick[n=2](F_s), pick[n=2](F_t))",
    "mean((l1norm(F_s) + mask(F_s) + drop(F_s)) * F_t) + L2(satt(F_s), satt(F_t))",
    "L2(natt(F_s), natt(F_t)) + L2(catt(F_s), catt(F_t)) + L2(multiscale(F_s), multiscale(F_t))",
    "L2(local(F_s), local(F_t)) + L2(batch(F_s), batch(F_t)) + L2(channel(F_s), channel(F_t))",
    "L2(bmm([F_s, F_t])) + L2(mm([F_s, F_t])) + L2(align([F_s, F_t])) + L2(corr([F_s, F_t]))",
    "L2(reldist([F_s, F_t])) + L2(angles([E_s, E_t])) + mean(diag(mm(E_s)))",
    "L2(chancov([F_s, F_t])) + L2(chancorr([F_s, F_t])) + mean(mm(F_s) @ mm(F_t))",
    "max(eigvals(chancov(F_s))) + mean(svdvals(E_s)) + logdet(chancov(F_s)) + |E_s|_*",
    "cond(chancov(F_s)) + erank(chancov(F_s)) + prank(chancov(F_s))",
    "logdet(changram(F_s)) + sum(quantiles[n=3](svdvals(E_s)))",
    "std(F_s) + var(F_s) + max(F_s) + min(F_s) + median(F_s) + sum(F_s)",
    "L2(V_s, V_t) + L2(l2norm(bmm(grad V_s)), l2norm(bmm(grad V_t)))",
)


def shown(who: str) -> dict[Statistic, Tensor]:
    generator = torch.Generator().manual_seed(ord(who))
    shapes = {"F": (6, 3, 4, 4), "E": (6, 3), "P": (6, 5), "V": (5, 3)}
    found = {
        Statistic(f"{letter}_{who}"): torch.randn(shape, generator=generator, dtype=torch.float64)
        for letter, shape in shapes.items()
    }
    gradient = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    more = {Y: labels(gradient)} if who == "s" else {}
    return found | {Statistic(f"V_{who}", "grad"): gradient} | more


def of_formula(text: str) -> Distance:
    return Distance(expression_proxy(text))


def test_the_formulas_use_every_operator() -> None:
    used = {node.op for text in SMOOTH for node in topological([to_ir(text)])} & set(OPERATORS)
    known = {"add", "neg", "norm_2", "pow"} | used  # by a rewrite, another
    assert known | set(FLAT) | set(ELSEWHERE) >= set(OPERATORS)
    assert not used & {*FLAT, *ELSEWHERE}


@pytest.mark.parametrize("text", SMOOTH)
def test_the_gradient_of_a_formula_is_that_of_its_score(text: str) -> None:
    """Along a random direction, against differences of what the interpreter gives."""
    distance, own, other = of_formula(text), shown("s"), shown("t")
    distance.meet(own, other, None)
    generator = torch.Generator().manual_seed(7)
    for statistic in distance.statistics:
        if statistic == Y or statistic not in own:
            continue
        x = own[statistic].clone().requires_grad_()
        (grad,) = torch.autograd.grad(distance({**own, statistic: x}, other), [x])
        along = torch.randn(x.shape, generator=generator, dtype=torch.float64)

        def score(step: float, one: Statistic = statistic, way: Tensor = along) -> float:
            return interpret(to_ir(text), Collected({**own, one: own[one] + step * way, **other}))

        slope = (score(1e-6) - score(-1e-6)) / 2e-6
        assert float((grad * along).sum()) == pytest.approx(-slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("text", "name"), [
    ("mean(hamming(F_s))", "hamming"),
    ("L2(sign(F_s), F_t)", "sign"),
    ("rank(E_s) * L2(P_t, Y)", "rank"),
    ("patterns(F_s) + 1", "patterns"),
    ("numel(F_s)", "numel"),
])  # fmt: skip
def test_an_operator_without_a_gradient_is_named(text: str, name: str) -> None:
    with pytest.raises(InputError, match=f"error.E743.: the operator `{name}` has no gradient"):
        of_formula(text).meet(shown("s"), shown("t"), None)
    of_formula(f"L2(F_s, F_t) + {text}").meet(shown("s"), shown("t"), None)  # beside one that has


def test_one_class_is_what_is_wrong_where_its_softmax_is_1() -> None:
    own, other = ({Statistic(f"P_{who}"): torch.randn(8, 1).double()} for who in "st")
    with pytest.raises(
        InputError, match="over one class or one channel is always 1: take a student"
    ):
        of_formula("KL(softmax([P_s, P_t]))").meet(own, other, None)


@pytest.mark.parametrize(("text", "what"), [
    ("sum(|grad W|_F)", "a loss cannot compare `grad W`"),
    ("L2(F_s[noise], F_t)", "a loss cannot compare `F_s.noise.`"),
    ("|P_t|_F", "the loss reads nothing of the student"),
    ("percentile(|E_s|_F)", "`percentile` compares networks"),
])  # fmt: skip
def test_what_is_no_loss(text: str, what: str) -> None:
    with pytest.raises(InputError, match=f"error.E744.: {what}"):
        of_formula(text)


def test_a_document_says_which_way_is_better(tmp_path: Path) -> None:
    path = tmp_path / "gap.proxy"
    path.write_text("proxy/1 gap\n\nbetter: lower\n\nscore = KL[T=8](P_s, P_t)\n")
    distance, usual = criterion_of(str(path), Recipe())
    assert (usual.factor, usual.shares) == (1.0, False)
    own, other = shown("s"), shown("t")
    score = interpret(to_ir("KL[T=8](P_s, P_t)"), Collected({**own, **other}))
    assert float(distance(own, other)) == score
    with pytest.raises(InputError, match="E753"):
        criterion_of(str(path), Recipe(temperature=2.0))
    for loss in (str(path), "at"):
        with pytest.raises(InputError, match=r"error.E760.: alpha 0\.5 is a share of `kd`"):
            criterion_of(loss, Recipe(alpha=0.5))
    criterion_of("kd", Recipe(alpha=0.5))
    with pytest.raises(InputError, match=r'E730.*"kdd"\n.*mean "kd"'):
        criterion_of("kdd", Recipe())


# --- losses with parameters -----------------------------------------------------------------------


def test_hints_are_the_error_after_a_learnt_projection() -> None:
    hints, _ = criterion_of("hints", Recipe())
    own, other = {Statistic("F_s"): torch.randn(6, 2, 4, 4)}, shown("t")
    torch.manual_seed(0)
    hints.meet(own, other, None)
    (weight, bias) = hints.parameters()
    moved = torch.einsum("oc,bchw->bohw", weight[:, :, 0, 0], own[Statistic("F_s")])
    expected = (moved + bias[:, None, None] - other[Statistic("F_t")]).square().mean()
    torch.testing.assert_close(hints(own, other), expected.float())
    with pytest.raises(InputError, match=r"E747.*maps of 4x4, the teacher's 2x2"):
        criterion_of("hints", Recipe())[0].meet(own, {Statistic("F_t"): torch.randn(6, 2, 2, 2)}, 9)


def test_contrast_is_that_of_its_authors() -> None:
    torch.manual_seed(0)
    crd, _ = criterion_of("crd", Recipe())
    own, other = {Statistic("E_s"): torch.randn(4, 3)}, {Statistic("E_t"): torch.randn(4, 7)}
    with pytest.raises(InputError, match="E749"):
        crd.meet(own, other, None)
    crd.meet(own, other, 20)
    memory, rows = crd.remembered.clone(), torch.tensor([3, 0, 19, 7])
    torch.manual_seed(1)
    drawn = torch.cat([rows[:, None], torch.randint(20, (4, 19))], 1)
    torch.manual_seed(1)
    found = crd(own, other, rows)
    v1 = F.normalize(crd.own(own[Statistic("E_s")]), dim=1)
    v2 = F.normalize(crd.wanted(other[Statistic("E_t")]), dim=1)
    expected = torch.zeros(())
    for bank, v in (
        (memory[1], v1),
        (memory[0], v2),
    ):  # ContrastMemory and ContrastLoss of the paper
        out = torch.exp(torch.bmm(bank[drawn], v[:, :, None]) / 0.07).squeeze(2)
        out = out / (out.mean() * 20)
        pn, eps = 1 / 20, 1e-7
        positive = (out[:, 0] / (out[:, 0] + 19 * pn + eps)).log()
        negative = (19 * pn / (out[:, 1:] + 19 * pn + eps)).log()
        expected = expected - (positive.sum() + negative.sum()) / 4
    torch.testing.assert_close(found, expected)
    mixed = F.normalize(0.5 * memory[0][rows] + 0.5 * v1, dim=1)
    torch.testing.assert_close(crd.remembered[0][rows], mixed)
    kept = [n for n in range(20) if n not in rows.tolist()]
    assert torch.equal(crd.remembered[:, kept], memory[:, kept])
    found.backward()
    assert all(p.grad is not None for p in crd.parameters())
