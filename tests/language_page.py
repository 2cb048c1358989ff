"""The language reference, written from the tables of operators and statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from autodas_dsl.language.documents import FACTS, HEADERS, MAX_LETS, REFERENCE
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.format import WIDTH, format_number, written
from autodas_dsl.language.inputs import INPUTS, Input
from autodas_dsl.language.operators import GROUPS, LAWS, OPERATORS, Attribute, Operator
from autodas_dsl.language.parse import MAX_DEPTH, MAX_TOKENS
from autodas_dsl.printing.latex import operator_latex, statistic_latex

_SYNTAX = """\
# The language

<!-- Written by `python -m pytest --golden`; change the tables, not this file. -->

A formula is one expression that ends in one number, the score of a network:

```
KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F)
```

It names *statistics* of the student (`W`, `grad W`, `F_s`, …) and of the teacher (`F_t`, …),
*operators* (`KL`, `sigmoid`, …), and may name *proxies of the library* (`diswot + synflow`), whose
score is put in. New to it? Start with [your first proxy](first-proxy.md).

## Expressions

| written | meaning | binds |
|---|---|---|
| `a + b`, `a - b` | sum, difference | weakest, to the left |
| `a * b`, `a / b`, `a @ b` | product, quotient, matrix product | to the left |
| `-a` | negation | |
| `a^b` | power, `2^3^2` is `2^(3^2)`, `-a^2` is `-(a^2)` | strongest, to the right |
| `f(a)`, `f(a, b)` | an operator | |
| `f[T=8](a, b)`, `f[B](a)` | with attributes, with an axis | |
| <code>&#124;a&#124;</code> | absolute value | |
| <code>&#124;a&#124;_F</code>, `_1`, `_2`, `_inf`, `_*` | norms; inside bars write `abs(a)` | |
| `[a, b]` | a pair: operators apply to both members, distances compare them | |
| `grad W`, `hess W`, `grad[flow] W` | gradient, Hessian times gradient, gradient of a probe | |
| `F_s[-2]`, `F_s[noise]` | a statistic of an earlier stage, under a probe | |
| `# …` | a comment, to the end of the line | |

Numbers are float64: `2`, `0.5`, `1e-5`. Unicode is read and rewritten: `‖x‖_F`, `∂L/∂W`, `⊙`, `·`,
`×`, `−`, `σ(x)`, `∑(x)`, `√x`, `x²`, `Fₛ`. The formatter prints one canonical text and never
changes the tree.

## Kinds

A value is one number, a tensor with named axes, or a list of them, one per layer. The axes are `B`
(batch), `C` (classes, channels, the first axis of a weight) and `HW` (the rest); `G` counts the
parts of `grad[split=n] W`. Layer lists are those of Conv and Linear layers (`lin`), activations (`act`),
BatchNorm layers (`bn`), blocks (`block`), attentions (`att`) and all modules (`mod`); values of
different lists do not combine.

* Elementwise, a number broadcasts to everything, a number per layer to its own list, and a tensor
  to one that has all its axes, by name.
* A reduction without attribute removes one level: all axes of a tensor, then the list. So
  `sum(sum(|W * grad W|))` is SNIP and `mean(mean(W))` the mean of layer means. `sum[HW](x)`,
  `mean[C](x)`, `max[CHW](x)` remove the named axes only.
* A distance on tensors per layer gives a number per layer. A score that is still a list is an
  error.
* Equal sizes that depend on the networks, such as `C_s = C_t`, are *requirements*: `check` lists
  them, and they are tested before any network is run. Nothing adapts silently; `align` adapts a
  pair on request.
* A number that is not finite where a level is removed makes the score invalid; the operator that
  caused it is named.
"""

_DOCUMENTS = f"""\
## Documents

A `.proxy` file is UTF-8 text with one item per line. Items start in the first column, lines that
continue one are indented, comments may stand anywhere.

```
proxy/1 rho_cnn

about: "Auto-DAS discovery for CNN spaces."
source: "Sun et al., Auto-DAS, ECCV 2024, Eq. 4"
better: higher
inputs: F_s, F_t, grad W

score = KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F)

reported: resnet-s0-kd spearman=0.9844
```

The first line names the proxy as the file. The headers are {", ".join(f"`{h}`" for h in HEADERS)}, all
optional; `inputs` is derived and written by `fmt`; own headers start with `x-`. Then come
`let name = …` lines, each of which may use those above it, one `score = …`, and facts:
{" and ".join(f"`{f}`" for f in FACTS)} lines, from the literature and by this software.

`percentile(x)` and `standardise(x)` see a number of a network against those of a population: the
networks that are scored together or, where the document has them, its `{REFERENCE}` lines, one for
each such term, with which a single network can be scored. For `percentile` a line holds values of
the argument in ascending order, for `standardise` their mean and standard deviation:

```
score = percentile(sum(|W|_F)) - standardise(params)

reference: percentile(sum(|W|_F)) = 10.5, 12, 17.25
reference: standardise(params) = 52000, 1300
```

Formulas are flat to {WIDTH} columns, else one term per line.

Reading a document never runs anything, and control and bidirectional characters in it are refused.
Limits: 1 MiB a document, {MAX_LETS} lets, 64 KiB and {MAX_TOKENS:,} tokens an expression,
{MAX_DEPTH} nested levels (each term of a sum counts).
"""


_PROBES = """\
### Probes

A statistic under a probe is that of another pass over the same network:

| probe | what is run |
|---|---|
| `grad[flow] W` | SynFlow: absolute weights, no BatchNorm, one all-ones input, sum of the outputs, float64 |
| `grad[flow_bn] W` | the same with BatchNorm kept |
| `grad[ones] W` | an all-ones batch, the sum of the logits, the network unchanged |
| `grad[split=n] W` | the batch in n parts, one gradient each, along axis `G` |
| `…[noise]` | weights and input drawn from N(0, 1), BatchNorm 1 and 0 |
| `…[noise2]` | the same weights, the input moved by 0.01 N(0, 1) |
| `FIM[kaiming]` | the real input, weights from N(0, 2 / inputs), norms 1 and 0 with stored statistics |
| `P_s[tiny]`, `P_s[unit]` | the real input, every weight 1e-7 or 1, norms too, every bias 0 |
| `…[absolute]` | the real input, absolute weights and buffers, BatchNorm replaced by identity, float64 |
| `…[robust]` | as `absolute`; weights pushed along the gradient of the loss, then the input |
| `…[jitter]` | the real weights, the real input moved by 0.01 N(0, 1) |
| `F_s[-2]` | the feature map of the stage before the last, and so on to `[-9]` |
"""


def reference() -> str:
    """The whole page, Markdown."""
    parts = [
        _SYNTAX, _DOCUMENTS, "\n".join(_statistics()), _PROBES, "\n".join(_operators()), "\n".join(_laws())
    ]  # fmt: skip
    return "\n".join(parts)


def _statistics() -> Iterator[str]:
    yield "## Statistics\n"
    yield "What is collected from the networks, in as few passes as the formulas need.\n"
    for group in dict.fromkeys(entry.group for entry in INPUTS.values()):
        yield f"### {group.capitalize()}\n"
        yield "| written | LaTeX | kind | what it is | pass |"
        yield "|---|---|---|---|---|"
        for entry in INPUTS.values():
            if entry.group == group:
                shown = [_code(entry.name), _math(statistic_latex(entry)), _code(str(entry.kind))]
                yield f"| {' | '.join([*shown, entry.doc + _attributes(entry), entry.needs])} |"
        yield ""


def _attributes(entry: Input) -> str:
    """The attributes of a statistic, as they are written."""
    through = [f"{name}({entry.name})" for name in entry.through]
    found = f" Also {_listed(entry.variants)}." if entry.variants else ""
    if through:
        found += f" Collected as {_listed(through)} where formulas read no more."
    return found


def _operators() -> Iterator[str]:
    yield "## Operators\n"
    yield (
        "Where a signature says `x -> x`, the kind stays; `less` is one level less. Patterns such "
        "as\n`B C ... -> C R=C` name the axes. Small letters stand for any axis.\n"
    )
    for group, title in GROUPS.items():
        yield f"### {title}\n"
        for entry in OPERATORS.values():
            if entry.group == group:
                yield from _operator(entry)


def _operator(entry: Operator) -> Iterator[str]:
    yield f"#### `{written(entry)}`\n"
    yield f"{entry.doc}\n"
    facts = [f"signature `{entry.signature}`", _math(operator_latex(entry))]
    if entry.axis:
        facts.append(f"along {entry.axis}; {_listed(f'[{a}]' for a in entry.axes)}")
    facts += [_attribute(a) for a in entry.attrs]
    if entry.aliases:
        facts.append(f"also written {_listed(entry.aliases)}")
    if entry.laws:
        facts.append(", ".join(law for law in LAWS if law in entry.laws))
    facts.append(f"example `{example_of(entry)}`")
    yield from (f"* {fact}" for fact in facts)
    yield ""


def _attribute(attribute: Attribute) -> str:
    default = format_number(attribute.default)
    return f"`{attribute.name}={default}`: {attribute.doc} {attribute.allowed.capitalize()}."


def _laws() -> Iterator[str]:
    yield "## Laws\n"
    yield "Each law that an operator claims is tested numerically.\n"
    yield "| law | says |"
    yield "|---|---|"
    for law, meaning in LAWS.items():
        yield f"| {law} | {meaning.replace('|', '&#124;')} |"
    yield ""


def _code(text: str) -> str:
    return f"`{text}`"


def _math(text: str) -> str:
    return f"$`{text}`$"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(_code, words))
