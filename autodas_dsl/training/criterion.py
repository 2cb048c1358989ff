"""Distillation losses as modules: what each compares, and the one that a formula is."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from autodas_dsl.compiler.interpret import NotFinite, ShapeMismatch, evaluate
from autodas_dsl.compiler.ir import Node, requirements_of, statistics_of, topological
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.language.library import library_files, library_proxy, load
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy, format_formula
from autodas_dsl.language.tree import Call, Expr, Number, transform
from autodas_dsl.scoring.bind import sizes_of
from autodas_dsl.spaces.base import suggestion
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.training.losses import LOSSES, Loss
from autodas_dsl.training.recipe import Recipe

Seen = Mapping[Statistic, Tensor]
"""What a network made of one batch, by the statistic that a formula would name."""

TEMPERATURE = "temperature"
"""A let of this name in a loss of the library is the recipe's temperature."""

_COMPARED = tuple(name for name, entry in INPUTS.items() if entry.group == "teacher-student")


_SIZES = {"K": "classes", "H": "rows of the map", "W": "columns of the map"}


class Criterion(nn.Module, ABC):
    """A distillation loss: the nearer the student is to the teacher, the lower.

    Attributes
    ----------
    statistics : tuple of Statistic
        What it compares.
    named : str
        Its name, or its formula.
    """

    statistics: tuple[Statistic, ...]
    named: str

    @abstractmethod
    def meet(self, student: Seen, teacher: Seen, examples: int | None) -> None:
        """Look at what both networks make of a few examples, once, before any training.

        Parameters
        ----------
        examples : int or None
            How many there are, where each is known by a number.

        Raises
        ------
        InputError
            The networks do not fit, or nothing could be learnt.
        """

    @abstractmethod
    def forward(self, student: Seen, teacher: Seen, rows: Tensor | None = None) -> Tensor:
        """One number that carries the student's graph.

        Parameters
        ----------
        rows : Tensor, optional
            Numbers of the examples ``[B]``.

        Raises
        ------
        NotFinite
            The number is none.
        """


def criterion_of(loss: str | Proxy, recipe: Recipe) -> tuple[Criterion, Loss]:
    """A loss by its name, its file or its formula, and what is usual of it.

    Raises
    ------
    InputError
        There is no such loss (E730), it cannot be read, the recipe says what it has no use for
        (E753, E760), or as `Distance`.
    """
    entry = LOSSES.get(loss, Loss(1.0)) if isinstance(loss, str) else Loss(1.0)
    if not entry.shares and recipe.alpha != Recipe().alpha:
        raise InputError(
            "E760", f"alpha {recipe.alpha:g} is a share of `kd`; this loss is added to the whole "
            "cross-entropy", "say how much of it with --weight",
        )  # fmt: skip
    if isinstance(loss, str) and loss in LOSSES:
        if entry.module:
            module = importlib.import_module(f"autodas_dsl.training.{entry.module}")
            return cast(Criterion, module.Learnt()), entry
        return Distance(library_proxy(loss), recipe.temperature), entry
    if isinstance(loss, str) and loss.isidentifier() and loss not in library_files():
        raise InputError("E730", f'there is no loss "{loss}"', suggestion(loss, [*LOSSES]))
    if recipe.temperature != Recipe().temperature:
        raise InputError(
            "E753", f"the temperature {recipe.temperature:g} is not that of a formula of one's own",
            "write it into the formula: KL[T=8](P_s, P_t)",
        )  # fmt: skip
    return Distance(load(loss) if isinstance(loss, str) else loss), entry


class Distance(Criterion):
    """A formula, with its sign turned where a higher score is the better one.

    Parameters
    ----------
    proxy : Proxy
    temperature : float, optional
        Of every operator that has one, and of the let `TEMPERATURE`; by default as written.

    Raises
    ------
    InputError
        A temperature out of range (E739); a statistic that is not there in training or none of
        the student, or a population (E744).
    """

    def __init__(self, proxy: Proxy, temperature: float | None = None) -> None:
        super().__init__()
        self._sign = -1.0 if proxy.better == "higher" else 1.0
        proxy = proxy if temperature is None else _at_temperature(proxy, temperature)
        self.named = format_formula(proxy).replace("\n", "; ")
        self._root = to_ir(proxy)
        self.statistics = tuple(statistics_of([self._root]))
        for one in self.statistics:
            if one.base not in _COMPARED or one.probe:
                raise InputError(
                    "E744", f"a loss cannot compare `{one}`",
                    f"a loss is a formula over {', '.join(_COMPARED)}",
                )  # fmt: skip
        for node in topological([self._root]):
            if node.op in OPERATORS and OPERATORS[node.op].sees_population:
                raise InputError(
                    "E744", f"`{node.op}` compares networks, and one is trained", "leave it out"
                )
        if not any(_of_student(one) for one in self.statistics):
            raise InputError(
                "E744", "the loss reads nothing of the student", "compare F_s, E_s, P_s or V_s"
            )

    def forward(self, student: Seen, teacher: Seen, rows: Tensor | None = None) -> Tensor:
        found = evaluate(self._root, Collected({**student, **teacher}))
        assert isinstance(found, Tensor)
        return self._sign * found

    def meet(self, student: Seen, teacher: Seen, examples: int | None) -> None:
        """As `Criterion.meet`.

        Raises
        ------
        InputError
            Sizes differ that must be equal (E731), or an operator has no gradient (E743).
        """
        self._compare(student, teacher)
        generator = torch.Generator().manual_seed(0)

        def near(value: Tensor) -> Tensor:
            # Off the places where a gradient is 0 by chance, such as a classifier that starts at 0.
            noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            return value.detach().cpu().double() + noise * 1e-3

        own = {
            key: near(value).requires_grad_() if _of_student(key) else value.detach().cpu().double()
            for key, value in student.items()
        }
        other = {key: value.detach().cpu().double() for key, value in teacher.items()}
        refuse_flat(self._root, Collected({**own, **other}))

    def _compare(self, student: Seen, teacher: Seen) -> None:
        sizes = sizes_of(Collected({**student, **teacher}))
        for requirement in requirements_of(self._root):
            one, other = sizes.of(requirement.left), sizes.of(requirement.right)
            if one is None or other is None or one == other:
                continue
            left, right = (str(size) for size in (requirement.left, requirement.right))
            if {left[-1:], right[-1:]} != {"s", "t"}:
                raise InputError("E731", f"the loss requires {requirement}: {one} is not {other}")
            if left.endswith("t"):
                one, other = other, one
            what = _SIZES.get(left[:1], "channels")
            raise InputError(
                "E731", f"the student has {one} {what}, the teacher {other}",
                f"take a teacher of the same {what}, or a loss that needs no equal ones",
            )  # fmt: skip


def _of_student(statistic: Statistic) -> bool:
    return statistic.name.endswith("_s")


def refuse_flat(root: Node, values: Collected) -> None:
    """Refuse a formula through which the student would learn nothing.

    Parameters
    ----------
    root : Node
    values : Collected
        Statistics; those of the student require gradients.

    Raises
    ------
    InputError
        E743 names the first operator that has no gradient, or only zeros.
    """
    leaves = [v for v in values.values.values() if isinstance(v, Tensor) and v.requires_grad]
    steep: set[Node] = set()
    for node in topological([root]):
        if node.op == "stat":
            if _of_student(node.statistic):
                steep.add(node)
        elif any(arg in steep for arg in node.args):
            try:
                if _moves(evaluate(node, values), leaves):
                    steep.add(node)
            except (NotFinite, ShapeMismatch):
                return  # training says so at its first step
    if root in steep:
        return
    below = [n for n in topological([root]) if n not in steep and any(a in steep for a in n.args)]
    op = below[0].op
    name = OPERATORS[op].infix or op if op in OPERATORS else op
    single = any(leaf.ndim > 1 and leaf.shape[1] == 1 for leaf in leaves)
    raise InputError(
        "E743", f"the operator `{name}` has no gradient, so nothing is learnt through it",
        "what is normalised over one class or one channel is always 1: take a student with more"
        if single else "take another operator; docs/distill.md says which have none",
    )  # fmt: skip


def _moves(value: Any, leaves: list[Tensor]) -> bool:
    """Whether a value depends on a leaf in its first derivative."""
    parts = value if isinstance(value, tuple) else (value,)
    tracked = [part for part in parts if part.requires_grad]
    if not tracked:
        return False
    weights = [torch.linspace(0.5, 1.5, p.numel(), dtype=p.dtype).view_as(p) for p in tracked]
    try:
        found = torch.autograd.grad(tracked, leaves, weights, allow_unused=True)
    except RuntimeError:  # an operator that overwrites what its gradient needs
        return False
    return any(g is not None and bool((g != 0).any()) for g in found)


def _at_temperature(proxy: Proxy, temperature: float) -> Proxy:
    def heated(node: Expr) -> Expr:
        if not isinstance(node, Call):
            return node
        taken = OPERATORS[node.op].attribute("T")
        if taken is None:
            return node
        attrs = tuple((key, temperature if key == "T" else old) for key, old in node.attrs)
        return replace(node, attrs=attrs)

    taken = OPERATORS["KL"].attribute("T")
    assert taken is not None
    if not taken.low <= temperature <= taken.high:
        raise InputError(
            "E739", f"a temperature of {temperature:g} is out of range",
            f"choose one from {taken.low:g} to {taken.high:g}; 4 is usual",
        )  # fmt: skip
    lets = tuple(
        replace(let, expr=replace(let.expr, value=temperature))
        if let.name == TEMPERATURE and isinstance(let.expr, Number)
        else let
        for let in proxy.lets
    )
    return replace(
        proxy, lets=lets, score=replace(proxy.score, expr=transform(proxy.score.expr, heated))
    )
