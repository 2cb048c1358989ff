"""Distances, norms and reductions."""

from functools import partial

from autodas_dsl.language.operators.entry import Attribute, Operator, op

_distance = partial(op, group="distance")
_norm = partial(op, group="norm", signature="x -> less", axis="HW C B CHW G")
_reduction = partial(op, group="reduction")
_REDUCED = "HW C B CHW G"

DISTANCES: list[Operator] = [
    _distance("L1", "a, b -> distance", "torch.mean(({0} - {1}).abs_(), {dims})",
        "Mean of |a - b|.", latex=r"\mathcal{{D}}_{{L_1}}\!\left({0}, {1}\right)",
        laws="zero-on-equal symmetric nonnegative"),
    _distance("L2", "a, b -> distance", "torch.mean(({0} - {1}).square_(), {dims})",
        "Mean of (a - b)^2.", latex=r"\mathcal{{D}}_{{L_2}}\!\left({0}, {1}\right)",
        laws="zero-on-equal symmetric nonnegative"),
    _distance("smoothL1", "a, b -> distance", "kernels.smooth_l1({0}, {1}, {dims})",
        "Mean of d^2 / 2 where d = |a - b| < 1, of d - 1/2 elsewhere.",
        latex=r"\mathcal{{D}}_{{\mathrm{{sL}}_1}}\!\left({0}, {1}\right)",
        laws="zero-on-equal symmetric nonnegative"),
    _distance("KL", "a, b -> distance", "kernels.kl({0}, {1}, {T}, {axis}, {positions}, {samples})",
        "T^2 KL(softmax(b/T) || softmax(a/T)) along C, summed over positions, mean over the batch.",
        latex=r"\mathcal{{D}}_{{KL}}{attrs}\!\left({0}, {1}\right)", needs="C",
        attrs=(Attribute("T", 1, 0.01, 1000, search=(1, 2, 4, 8), doc="Temperature."),),
        laws="zero-on-equal nonnegative"),
    _distance("hard", "a, b -> distance", "kernels.hard({0}, {1}, {axis}, {others})",
        "Cross-entropy of a against the argmax of b along C, mean over the rest.",
        latex=r"\mathcal{{D}}_{{\mathrm{{hard}}}}\!\left({0}, {1}\right)", needs="C", hides=True,
        laws="nonnegative"),
    _distance("cosine", "a, b -> distance", "kernels.cosine({0}, {1}, {axis}, {others})",
        "1 - mean cosine similarity along an axis.", axis="C B",
        latex=r"\mathcal{{D}}_{{\cos{within}}}\!\left({0}, {1}\right)", laws="symmetric"),
    _distance("pearson", "a, b -> distance", "kernels.pearson({0}, {1}, {axis}, {others})",
        "1 - mean Pearson correlation along an axis.", axis="C B",
        latex=r"\mathcal{{D}}_{{\mathrm{{Pearson}}{within}}}\!\left({0}, {1}\right)",
        laws="symmetric"),
    _distance("pairwise", "a, b -> distance", "kernels.pairwise({0}, {1}, {ndim})",
        "Mean Euclidean distance between the rows (flattened samples) of a and b.", needs="B",
        latex=r"\mathcal{{D}}_{{\mathrm{{pair}}}}\!\left({0}, {1}\right)",
        laws="zero-on-equal symmetric nonnegative"),
    _distance("CKA", "a, b -> distance", "kernels.cka({0}, {1}, {ndim}, {other_ndim})",
        "1 - linear centred kernel alignment of the flattened samples.", needs="B", match="B",
        latex=r"\mathcal{{D}}_{{\mathrm{{CKA}}}}\!\left({0}, {1}\right)", laws="symmetric"),
    _distance("MMD", "a, b -> distance", "kernels.mmd({0}, {1}, {degree}, {ndim})",
        "Squared maximum mean discrepancy with kernel (x.y)^degree between the channels of each "
        "sample, mean over the batch; on [B C] between the rows.", needs="B C", match="HW last",
        latex=r"\mathcal{{D}}_{{\mathrm{{MMD}}}}{attrs}\!\left({0}, {1}\right)",
        attrs=(Attribute("degree", 1, 1, 4, integer=True, search=(1, 2),
                         doc="Degree of the polynomial kernel."),),
        laws="symmetric zero-on-equal"),
]  # fmt: skip

NORMS: list[Operator] = [
    _norm("norm_F", text="|{0}|_F", unicode="‖{0}‖_F", graph="‖·‖_F",
        torch="kernels.norm_2({0}, {dims})",
        doc="Frobenius norm, the root of the sum of squares, written |x|_F.",
        latex=r"\left\|{0}\right\|_{{F{within}}}", aliases=("norm",),
        laws="homogeneous even nonnegative"),
    _norm("norm_1", text="|{0}|_1", unicode="‖{0}‖₁", graph="‖·‖_1",
        torch="kernels.norm_1({0}, {dims})", doc="Sum of absolute values, written |x|_1.",
        latex=r"\left\|{0}\right\|_{{1{within}}}", laws="homogeneous even nonnegative"),
    _norm("norm_2", text="|{0}|_2", unicode="‖{0}‖₂", graph="‖·‖_2",
        torch="kernels.norm_2({0}, {dims})", doc="Entrywise 2-norm, equal to |x|_F, written |x|_2.",
        latex=r"\left\|{0}\right\|_{{2{within}}}", laws="homogeneous even nonnegative",
        search=False),
    _norm("norm_inf", text="|{0}|_inf", unicode="‖{0}‖_∞", graph="‖·‖_∞",
        torch="kernels.norm_inf({0}, {dims})", doc="Largest absolute value, written |x|_inf.",
        latex=r"\left\|{0}\right\|_{{\infty{within}}}", laws="homogeneous even nonnegative"),
]  # fmt: skip

REDUCTIONS: list[Operator] = [
    _reduction("sum", "x -> less", "torch.sum({0}, {dims})", "Sum.", axis=_REDUCED,
        aliases=("∑",), unicode="∑{attrs}({0})", latex=r"\sum{axis} {0}", laws="linear"),
    _reduction("mean", "x -> less", "torch.mean({0}, {dims})", "Mean.", axis=_REDUCED,
        over_layers=r"\frac{{1}}{{{count}}}\sum{axis} {0}", laws="linear"),
    _reduction("std", "x -> less", "kernels.std({0}, {dims})",
        "Standard deviation (divided by the number of values, so 0 for one value).", axis=_REDUCED,
        laws="shift-invariant homogeneous nonnegative"),
    _reduction("var", "x -> less", "kernels.var({0}, {dims})",
        "Variance (divided by the number of values).", axis=_REDUCED,
        laws="shift-invariant even nonnegative"),
    _reduction("max", "x -> less", "torch.amax({0}, {dims})", "Largest value.", axis=_REDUCED,
        latex=r"\max{axis}\!\left({0}\right)", laws="increasing", hides=True),
    _reduction("min", "x -> less", "torch.amin({0}, {dims})", "Smallest value.", axis=_REDUCED,
        latex=r"\min{axis}\!\left({0}\right)", laws="increasing", hides=True),
    _reduction("median", "x -> less", "kernels.median({0}, {dims})",
        "Median; the mean of the two middle values of an even number.", axis=_REDUCED,
        laws="odd increasing", hides=True),
    _reduction("numel", "x -> less", "kernels.numel({0}, {dims})", "Number of elements.",
        axis=_REDUCED, latex=r"\#{axis}\!\left({0}\right)", hides=True),
    _reduction("patterns", "B ... ->", "kernels.patterns({0}, {ndim})",
        "Number of distinct sign patterns over the batch among the units.",
        laws="scale-invariant nonnegative", hides=True, example="patterns(concat(X))"),
    _reduction("first", "list(x) -> x", "kernels.first({0})", "First entry of a layer list.",
        hides=True, example="first(|W|_F)"),
    _reduction("last", "list(x) -> x", "kernels.last({0})", "Last entry of a layer list.",
        hides=True, example="last(|W|_F)"),
    _reduction("total", "list(x) -> x", "kernels.total({0})",
        "Sum over the layer list, entry by entry; all layers must have one shape.",
        latex=r"\sum{axis} {0}", laws="linear", example="total(hamming(X))"),
]  # fmt: skip
