"""The table of statistics: the inputs that a formula can name.

One `Input` entry gives a statistic its kind, its attributes, its documentation and its LaTeX.
The values are collected in `autodas_dsl.statistics`; nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from autodas_dsl.language.kinds import Axis, Kind, Size, integer, symbol
from autodas_dsl.language.operators import OPERATORS, result_kind


class Made(Protocol):
    """A tree of operators over the statistics of one layer; its text says what it is."""

    @property
    def kind(self) -> Kind: ...


@dataclass(frozen=True, order=True, slots=True)
class Statistic:
    """One statistic as a formula names it; its text form is the key used everywhere.

    Parameters
    ----------
    name : str
        ``"W"``, ``"F_s"``, …
    prefix : str
        ``""``, ``"grad"`` or ``"hess"``.
    probe : str
        ``""`` (the real batch), or ``flow``, ``flow_bn``, ``ones``, ``noise``, ``noise2``, ``jitter``,
        ``kaiming``, ``tiny``, ``unit``, ``absolute``, ``robust``.
    stage : int
        Feature stage counted from the end; -1 is the last. Only for ``F_s`` and ``F_t``.
    parts : int
        ``split=`` of ``grad W`` or ``n=`` of ``NTK``; 0 where it does not apply.
    every : bool
        ``X[all]``: functional activations too.
    through : str or Made
        What is collected in place of the statistic: an operator's value, ``chancov`` of
        ``chancov(A)``, or what a formula makes of each layer, see `compiler.reading`.
    """

    name: str
    prefix: str = ""
    probe: str = ""
    stage: int = -1
    parts: int = 0
    every: bool = False
    through: str | Made = ""

    @property
    def base(self) -> str:
        """The name with its prefix and no attributes: the key of its `Input` entry."""
        return f"{self.prefix} {self.name}" if self.prefix else self.name

    @property
    def whole(self) -> Statistic:
        """The statistic itself, where something made of it is collected in its place."""
        return replace(self, through="")

    def __str__(self) -> str:
        if isinstance(self.through, str) and self.through:
            return f"{self.through}({self.whole})"
        if self.through:
            return str(self.through)
        if self.prefix:
            inner = self.probe or (f"split={self.parts}" if self.parts else "")
            return f"{self.prefix}[{inner}] {self.name}" if inner else f"{self.prefix} {self.name}"
        shown = [str(self.stage)] if self.stage != -1 else []
        shown += [self.probe] if self.probe else []
        shown += ["all"] if self.every else []
        shown += [f"n={self.parts}"] if self.parts else []
        return f"{self.name}[{', '.join(shown)}]" if shown else self.name


@dataclass(frozen=True)
class Input:
    """An entry of the statistics table.

    `axes` maps axis names to size symbols; `probes` lists the probes it may be run under.
    `group` is one of ``weights``, ``activations``, ``teacher-student``, ``architecture``.
    `through` names operators that are collected in its place where formulas read nothing else.
    `needs` says which pass collects it, for the reference page.
    `latex` is a template: ``{index}`` is where the subscript of the layer goes, ``{probe}`` the
    superscript of the probe, ``{parts}`` the number of parts; other braces are doubled.
    `collect` is set for a user's own statistic only: a function of the model and the batch;
    `definition` likewise: a hash of the file that defines it.
    """

    name: str
    kind: Kind
    doc: str
    latex: str
    group: str
    needs: str = "forward"
    probes: tuple[str, ...] = ()
    stages: bool = False
    parts: str = ""  # the name of the integer attribute, "split" or "n"
    every: bool = False
    through: tuple[str, ...] = ()
    collect: Callable[..., Any] | None = field(default=None, compare=False)
    definition: str = ""

    @property
    def variants(self) -> list[str]:
        """The statistic with each of its attributes, as written: ``F_s[-2]``, ``grad[flow] W``."""
        prefix, _, letter = self.name.rpartition(" ")
        words = [*self.probes, *["all"] * self.every, *["-2"] * self.stages]
        words += [f"{self.parts}=8"] * bool(self.parts)
        return [f"{prefix}[{w}] {letter}" if prefix else f"{letter}[{w}]" for w in words]


GROUPS = ("weights", "activations", "teacher-student", "architecture")


def kind(layers: str | None = None, **axes: str) -> Kind:
    """The kind of a statistic: its layer list, and the symbol for the size of each axis.

    ``kind("lin", C="c_W", R="r_W")`` is that of ``W``, ``kind()`` one number.
    """
    return Kind(layers, tuple(Axis(name, symbol(size)) for name, size in axes.items()))


_GRADIENT = r"\frac{{\partial\mathcal{{L}}{probe}}}{{\partial %s}}"
_WEIGHT = kind("lin", C="c_W", R="r_W")
_OUTPUT = kind("lin", B="B", C="c_A", R="r_A")
_HEADS = kind("att", B="B", C="heads", R="r_H")
_LAYER_NUMBER = Kind("lin")
_CHANNELS = ("chancov", "chancorr", "changram")


def _map(who: str) -> Kind:
    return kind(None, B="B", C=f"C_{who}", H=f"H_{who}", W=f"W_{who}")


def _two(who: str, name: str, kind: Callable[[str], Kind], doc: str, **more: Any) -> list[Input]:
    owner = {"s": "student", "t": "teacher"}
    prefix, _, letter = name.rpartition(" ")
    return [
        Input(
            f"{name}_{w}",
            kind(w),
            doc.format(owner[w]),
            _GRADIENT % f"{letter}_{w}" if prefix else f"{letter}_{w}{{probe}}",
            "teacher-student",
            **more,
        )
        for w in who
    ]


_ENTRIES = [
    Input("W", _WEIGHT, "Weight tensors of Conv and Linear layers, biases excluded.",
          "W{index}{probe}", "weights", "none", probes=("robust",)),
    Input("grad W", _WEIGHT, "Gradient of the loss with respect to each weight.",
          _GRADIENT % "W{index}", "weights", "forward and backward",
          probes=("flow", "flow_bn", "ones", "absolute", "robust"), parts="split"),
    Input("hess W", _WEIGHT, "Hessian times gradient, over Conv and Linear weights only.",
          r"H{index}\," + _GRADIENT % "W{index}", "weights", "forward and double backward"),
    Input("A", _OUTPUT, "Outputs of Conv and Linear layers, before norm and activation.",
          "A{index}{probe}", "activations", probes=("absolute", "robust"), through=_CHANNELS),
    Input("grad A", _OUTPUT, "Gradient of the loss with respect to each layer output.",
          _GRADIENT % "A{index}", "activations", "forward and backward", through=_CHANNELS),
    Input("X", kind("act", B="B", C="c_X", R="r_X"),
          "Inputs of the activation modules, one entry per call; X[all] adds functional ones.",
          "X{index}{probe}", "activations", every=True,
          through=(*_CHANNELS, "hamming")),
    Input("grad X", kind("act", B="B", C="c_X", R="r_X"),
          "Gradient of the loss with respect to what enters each activation module, as far as it "
          "comes back through that activation.", _GRADIENT % "X{index}", "activations",
          "forward and backward", through=_CHANNELS),
    Input("H", _HEADS, "Attention maps: the softmax of the scores, a channel for each head, a "
          "position for each query and key.", r"\mathrm{{Att}}{index}", "activations"),
    Input("grad H", _HEADS, "Gradient of the loss with respect to each attention map.",
          _GRADIENT % r"\mathrm{{Att}}{index}", "activations", "forward and backward"),
    Input("Z", kind("mod", B="B", C="c_Z", R="r_Z"),
          "Outputs of all modules, of those that hold others and the network too, one per call.",
          "Z{index}", "activations", through=_CHANNELS),
    Input("S", Kind("bn"), "Batch variance of each BatchNorm's input, mean over channels.",
          "S{index}{probe}", "activations", probes=("noise", "noise2")),
    Input("I", kind("block", B="B", C="c_I", R="r_I"),
          "Inputs of the blocks: outermost modules with a number for a name and layers of their own.",
          "I{index}", "activations", through=_CHANNELS),
    Input("O", kind("block", B="B", C="c_O", R="r_O"), "Outputs of the blocks.",
          "O{index}", "activations", through=_CHANNELS),
    Input("T", kind("block", C="c_T", R="c_O"),
          "How each block takes channels back: the gradient of its input for an output gradient "
          "of random signs, times those signs, mean over batch and positions. Positions of stride s "
          "count as s^2 channels; 0 where the block hands its input on.",
          "T{index}", "activations", "forward and backward"),
    Input("J", kind(None, B="B", C="inputs"),
          "Gradient of the sum of the logits with respect to the input, flattened.", "J",
          "activations", "forward and backward"),
    Input("NTK", Kind(None, (Axis("B", symbol("n")), Axis("C", symbol("n")))),
          "Tangent kernel of the sum of the logits over every weight, on n samples.",
          r"\Theta_{{{parts}}}", "activations", "n backward passes", parts="n"),
    Input("FIM", kind(None, C="tensors", R="tensors"),
          "Fisher information of the softmax over one weight, the first, of each of the first 128 "
          "weight and bias tensors of Conv, Linear and norm layers; norms use stored statistics.",
          r"\mathcal{{I}}{probe}", "weights", "a backward pass per class", probes=("kaiming",)),
    *_two("st", "F", _map, "Last feature map of the {}, before global pooling.",
          probes=("noise", "noise2", "jitter"), stages=True, through=_CHANNELS),
    *_two("st", "E", lambda w: kind(None, B="B", C=f"D_{w}"),
          "Embedding of the {}: the input of its classifier.", probes=("noise", "noise2", "jitter")),
    *_two("st", "P", lambda w: kind(None, B="B", C=f"K_{w}"), "Logits of the {}.",
          probes=("noise", "noise2", "jitter", "tiny", "unit")),
    *_two("st", "V", lambda w: kind(None, B=f"K_{w}", C=f"D_{w}"),
          "Classifier weight of the {}, one row per class."),
    *_two("st", "grad V", lambda w: kind(None, B=f"K_{w}", C=f"D_{w}"),
          "Gradient of the loss with respect to the classifier weight of the {}."),
    Input("Y", kind(None, B="B", C="K_s"), "One-hot labels.", "Y", "teacher-student", "none"),
    Input("fan_in", _LAYER_NUMBER, "Inputs of each layer.", r"n^{{\mathrm{{in}}}}{index}",
          "architecture", "none"),
    Input("fan_out", _LAYER_NUMBER, "Outputs of each layer.", r"n^{{\mathrm{{out}}}}{index}",
          "architecture", "none"),
    Input("index", _LAYER_NUMBER, "Position of each layer, 1, 2, …", r"\ell",
          "architecture", "none"),
    Input("attn", _LAYER_NUMBER, "1 for attention Linears (square or fused qkv), else 0.",
          r"\mathbf{{1}}^{{\mathrm{{attn}}}}{index}", "architecture", "none"),
    Input("block", Kind("act"),
          "Blocks before each activation: 0 in the first, their number after the last.",
          r"b{index}", "architecture"),
    Input("params", Kind(), "Parameter count.", r"\#\mathrm{{params}}", "architecture", "none"),
    Input("flops", Kind(), "Multiply-adds of one sample.", r"\#\mathrm{{flops}}",
          "architecture", "one meta forward"),
    Input("layers", Kind(), "Number of weighted layers.", r"M", "architecture", "none"),
    Input("tensors", Kind(), "Number of parameter tensors.", r"\#\mathrm{{tensors}}",
          "architecture", "none"),
    Input("curvature", Kind(),
          "Curvature of the path of the logits while one input moves along a circle of random "
          "directions.", r"\kappa", "activations", "forward and double backward"),
]  # fmt: skip

INPUTS: dict[str, Input] = {entry.name: entry for entry in _ENTRIES}

NTK_SAMPLES = 16
FIM_TENSORS = 128


def kind_of(statistic: Statistic) -> Kind:
    """The kind of a statistic, with the sizes that its attributes imply.

    Stages of a feature map have their own size symbols, ``C_s[-2]``; a gradient that is split
    has a leading axis ``G``; ``NTK[n=8]`` is 8 by 8.
    """
    if not isinstance(statistic.through, str):
        return statistic.through.kind
    if statistic.through:
        entry = OPERATORS[statistic.through]
        return result_kind(entry, [kind_of(statistic.whole)], entry.values(()), lambda _: None)
    kind = INPUTS[statistic.base].kind
    if statistic.stage != -1:
        mark = f"[{statistic.stage}]"
        return Kind(None, tuple(a if a.name == "B" else Axis(a.name, _marked(a.size, mark))
                                for a in kind.axes))  # fmt: skip
    if statistic.every:
        return Kind(kind.layers, tuple(a if a.name == "B" else Axis(a.name, _marked(a.size, "[all]"))
                                       for a in kind.axes))  # fmt: skip
    if statistic.name == "NTK":
        n = integer(statistic.parts or NTK_SAMPLES)
        return Kind(None, (Axis("B", n), Axis("C", n)))
    if statistic.parts:
        return Kind(kind.layers, (Axis("G", integer(statistic.parts)), *kind.axes))
    return kind


def definition_of(statistic: Statistic) -> str:
    """The statistic's text, and for a user's own which definition of it is meant."""
    return f"{statistic}{INPUTS[statistic.base].definition}"


def _marked(size: Size, mark: str) -> Size:
    return symbol(f"{size}{mark}")
