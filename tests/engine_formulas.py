"""Formulas that together use every operator, every kind of statistic and every way to combine them."""

from __future__ import annotations

from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.kinds import Kind
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.parse import parse

CHOSEN = (
    "KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F)",
    "sum(sum(|W * grad[flow] W|))",
    "logdet(total(hamming(X)))",
    "sum(min(eigvals(chancorr(A))))",
    "patterns(concat(X))",
    "log(mean(sum[CHW](|F_s[noise] - F_s[noise2]|))) + sum(log(S[noise])) / 2",
    "-L2(l2norm(batch(mean[C](align[HW]([F_s[-2], F_t])^2))))",
    "-MMD[degree=2](l2norm[HW](channel(align[HW]([F_s, F_t]))))",
    "-25 * smoothL1(reldist([E_s, E_t])) - 50 * smoothL1(angles([E_s, E_t]))",
    "sum(attn * |abs(W)|_* * |grad[flow] W|_* + (1 - attn) * sum(|W * grad[flow] W|))",
    "sum(numel(W) * mean(sum[HW](A * grad A)^2)) / 2",
    "-mean(sum[C]((l2norm(bmm(grad V_s)) - l2norm(bmm(grad V_t)))^2))",
    "1 / mean(mean(sigmoid(|log(abs(grad W))|)))",
    "sum(erank(chancov(A)))",
    "-cond(NTK)",
    "sum(log(sum(mean[G](abs(grad[split=2] W)) / std[G](grad[split=2] W))))",
    "sum(mean(W / mean(mean(W))))",
    "sum(mean(exp(W) / (mean(exp(W)) + 1)))",
    "100 * (1 - cosine[B](sigmoid([E_s, E_t]))) * KL[T=8](sigmoid([E_s, E_t]))",
    "hard(P_s, P_t) + L1(softmax[HW](F_s), softmax[HW](F_t)) + cosine(P_s, Y)",
    "mean(mean(max(W, 2)))",
    "params / 1e3 + exp(2)",
    "exp(2) - 7",
    "params",
    "CKA(F_s, E_t) + pairwise(F_s, F_t)",
    "sum(log(median(W))^2)",
    "max(fan_in * |W|_F)",
    "mean(max(fan_in * |W|_F) * layers + index)",
    "mean(local(mask(F_s))) + mean(multiscale(drop(F_s)))",
    "mean(catt(F_s)) + mean(satt(F_s)) + mean(natt(F_s)) + mean(catt(E_s))",
    "L2(align([F_s[-2], F_t]))",
    "rank(mm(F_s)) + mean(svdvals(diag(mm(F_s)) * mm(E_s)))",
    "last(|W|_F) / first(|W|_F) + total(|W|_F)",
    "mean(first(abs(W))) + mean(last(W)) * mean(F_t)",
    "sum(sum(sign(W)))",
    "sum(max(log(W)))",
    "sum(dot(W, sum[HW](W)))",
    "mean(F_s * mean(mean(W))) + mean(F_s * mean(F_t)) + sum(F_t) / params",
    "mean(F_s * mean(total(hamming(X)))) + mean(mm(E_s) - total(mm(X)))",
    "L1(|W|_F, |grad W|_F)",
    "mean(max(|W|_F, 2) ^ 0.5)",
    "mean(angles(E_t))",
    "var(F_s) + std(P_s) + numel(F_s) + |P_s|_inf + |J|_1",
    "mean(mm(F_s) @ mm(F_t))",
)
UNFIT = (
    "mean(local[s=3](F_s))",
    "sum(total(W))",
    "sum(hard(W, chancov(A)))",
    "hard(V_t, NTK[n=3])",
)


def scored(text: str) -> str | None:
    """A formula that is one number and holds `text`, or None for a pair."""
    kind = kind_of_expression(parse(text)).kind
    if not isinstance(kind, Kind):
        return None
    if kind.axes:
        text, kind = f"mean({text})", Kind(kind.layers)
    return f"sum({text})" if kind.layers else text


def of_operators() -> dict[str, str]:
    """Operator name to a formula made of its example."""
    found = {
        name: scored(example_of(entry))
        for name, entry in OPERATORS.items()
        if not entry.sees_population  # the engine sees one network at a time
    }
    return {name: text for name, text in found.items() if text is not None}
