"""NAS-Bench-101, NAS-Bench-301 and TransNAS-Bench-101: published sizes and canonical forms."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import combinations, permutations, product
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autodas_dsl import spaces
from autodas_dsl.evaluation.rank import rank
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import load
from autodas_dsl.scoring.setting import Data, Setting
from autodas_dsl.spaces.nasbench101 import OPERATIONS, NasBench101Arch, published_hash
from autodas_dsl.spaces.nasbench301 import Cell as DartsCell
from autodas_dsl.spaces.nasbench301 import NasBench301Arch
from autodas_dsl.tables.table import Table

KNOWN = NasBench101Arch(
    ("0100110", "0010000", "0001001", "0000010", "0000010", "0000001", "0000000"),
    ("input", "conv3x3", "maxpool3x3", "conv3x3", "conv3x3", "conv1x1", "output"),
)
"""The first cell of the published NAS-Bench-101 file."""

SKIPS = "skip_connect~0+skip_connect~1"
DARTS = "normal={0},reduce={0}"


def built(name: str, arch: object) -> nn.Module:
    with torch.device("meta"):
        return spaces.get(name).build(arch)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def reference(shared: Path, name: str) -> list[dict[str, str]]:
    with (shared / "reference" / f"{name}_scores.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


# --- parameters and multiply-adds ----------------------------------------------------------------


def test_nasbench101_known_cell() -> None:
    assert published_hash(KNOWN) == "00005c142e6f48ac74fdcf73e3439874"
    assert parameters(built("nasbench101", KNOWN)) == 8_555_530
    projected = NasBench101Arch(("01", "00"), ("input", "output"))
    widths = [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 2
    counted = 27 * 128 + 2 * 128 + sum(a * b + 2 * b for a, b in widths) + 512 * 10 + 10
    assert parameters(built("nasbench101", projected)) == counted


def darts_parameters(arch: NasBench301Arch) -> int:
    before, last, width = 96, 96, 32
    total = 27 * 96 + 2 * 96
    for place in range(8):
        halves = place in (2, 5)
        width *= 2 if halves else 1
        total += (before + last) * width + 4 * width
        for name, source in arch.reduce if halves else arch.normal:
            kernel = int(name[-1]) ** 2 if "conv" in name else 0
            total += (2 if "sep" in name else 1) * (kernel * width + width**2) if kernel else 0
            total += width**2 if name == "skip_connect" and halves and source < 2 else 0
        before, last = last, 4 * width
    return total + 4 * width * 10 + 10


def test_nasbench301_parameters() -> None:
    space, rng = spaces.get("nasbench301"), np.random.default_rng(0)
    for arch in (space.sample(rng) for _ in range(5)):
        assert parameters(built("nasbench301", arch)) == darts_parameters(arch)


def macro_parameters(modules: tuple[int, ...]) -> int:
    total, width = 27 * 32 + 9 * 32 * 64 + 2 * (32 + 64), 64
    for module in modules:
        before, width = width, width * (2 - module % 2)
        total += 9 * width * (before + 3 * width) + 8 * width
        total += 0 if module == 1 else before * width + 2 * width
    return total + width * 75 + 75


def test_transnas_parameters() -> None:
    space, rng = spaces.get("transnas-macro"), np.random.default_rng(0)
    for arch in (space.sample(rng) for _ in range(10)):
        assert parameters(built("transnas-macro", arch)) == macro_parameters(arch.modules)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench301"])
def test_parameters_of_every_reference_row(
    shared: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for layer in (nn.Conv2d, nn.Linear, nn.BatchNorm2d):  # only shapes matter here
        monkeypatch.setattr(layer, "reset_parameters", lambda layer: None)
    monkeypatch.setattr(nn.init, "normal_", lambda weight, mean, std: weight)
    space = spaces.get(name)
    for row in reference(shared, name):
        arch = space.from_fields({part: row[part] for part in space.fields})
        assert space.format(arch) == ",".join(f"{part}={row[part]}" for part in space.fields)
        millions = parameters(built(name, arch)) / 1e6
        assert millions == pytest.approx(float(row["params_million"]), abs=1e-9)


def published_flops(network: nn.Module, adaptive: bool) -> float:
    """Multiply-adds, and what the published counts add.

    A normalised value counts 2 (1 without weights), a rectified one 1, a pooled one the size of
    its window; the window of global pooling, where it is a module, is one larger than the map.
    """
    added = 0

    def hook(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal added
        if isinstance(module, nn.BatchNorm2d):
            added += output.numel() * (2 if module.affine else 1)
        elif isinstance(module, nn.ReLU):
            added += output.numel()
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            added += output.numel() * int(module.kernel_size) ** 2  # type: ignore[arg-type]
        elif isinstance(module, nn.AdaptiveAvgPool2d) and adaptive:
            added += output.numel() * (inputs[0].shape[-1] + 1) ** 2

    for module in network.modules():
        module.register_forward_hook(hook)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 32, 32, device="meta"))
    return counter.get_total_flops() / 2 + added


@pytest.mark.parametrize(("name", "adaptive"), [("nasbench101", False), ("nasbench301", True)])
def test_multiply_adds_as_published(shared: Path, name: str, adaptive: bool) -> None:
    space = spaces.get(name)
    for row in reference(shared, name)[::25]:
        arch = space.from_fields({part: row[part] for part in space.fields})
        found = published_flops(built(name, arch), adaptive) / 1e6
        assert found == pytest.approx(float(row["flops_million"]), abs=1e-6)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench301"])
def test_initial_weights_have_the_published_norm(shared: Path, name: str) -> None:
    """Which settles the initialisation; other random weights differ by about one."""
    space = spaces.get(name)
    torch.manual_seed(0)
    for row in reference(shared, name)[:3]:
        network = space.build(space.from_fields({part: row[part] for part in space.fields}))
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        norm = sum(float(layer.weight.detach().norm()) for layer in layers)
        assert norm == pytest.approx(float(row["l2_norm"]), abs=2)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench301"])
def test_synflow_of_the_smallest_networks_as_published(shared: Path, name: str) -> None:
    space = spaces.get(name)
    rows = sorted(reference(shared, name), key=lambda row: float(row["flops_million"]))[:5]
    texts = [",".join(f"{part}={row[part]}" for part in space.fields) for row in rows]
    table = Table(name, name, tuple(texts), {"acc": np.arange(5.0)})
    found = rank(table, space, [load("synflow")], setting=Setting(Data("noise", 2))).scores
    published = np.array([float(row["log_synflow"]) for row in rows])
    np.testing.assert_allclose(np.log(found["synflow"]), published, atol=0.5)


# --- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nasbench101", "nasbench301", "transnas-macro"])
def test_networks_give_logits_and_gradients(name: str) -> None:
    space = spaces.get(name)
    network = space.build(space.sample(np.random.default_rng(2)), classes=7)
    x = torch.randn(2, *space.input_shape, requires_grad=True)
    logits = network(x)
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_what_flows_into_a_vertex_is_added_and_into_the_output_concatenated() -> None:
    """Three vertices feed the output, the first gets the channel that is left over."""
    text = "matrix=01110-00101-00001-00001-00000,ops=input-conv1x1-maxpool3x3-conv1x1-output"
    space = spaces.get("nasbench101")
    cell = space.build(space.parse(text)).eval().cells[0]
    assert cell.channels == [128, 43, 43, 42, 128]
    x = torch.randn(1, 128, 4, 4)
    first = cell.operations["1"](cell.projections["1"](x))
    second = cell.operations["2"](first + cell.projections["2"](x))
    third = cell.operations["3"](cell.projections["3"](x))
    torch.testing.assert_close(cell(x), torch.cat([first, second, third], 1))


# --- canonical forms -----------------------------------------------------------------------------


def cells_of(vertices: int) -> Iterator[NasBench101Arch]:
    """Every cell of so many vertices, all of which are on a path from input to output."""
    edges = list(combinations(range(vertices), 2))
    for chosen in product("01", repeat=len(edges)):
        given = dict(zip(edges, chosen, strict=True))
        matrix = tuple(
            "".join(given.get((i, j), "0") for j in range(vertices)) for i in range(vertices)
        )
        inner = range(1, vertices - 1)
        if not all("1" in row for row in matrix[:-1]):
            continue
        if not all(any(row[j] == "1" for row in matrix) for j in (*inner, vertices - 1)):
            continue
        for names in product(OPERATIONS, repeat=len(inner)):
            yield NasBench101Arch(matrix, ("input", *names, "output"))


def test_nasbench101_isomorphism_classes() -> None:
    """Counts as published for cells of two, three and four vertices; all 423,624 have seven."""
    found = [len({published_hash(cell) for cell in cells_of(n)}) for n in (2, 3, 4)]
    assert found == [1, 6, 84]
    assert spaces.get("nasbench101").count() == 423_624


def test_nasbench101_canonical_form_ignores_order_and_dangling_vertices() -> None:
    space = spaces.get("nasbench101")
    canonical = {
        space.canonical(space.parse(text))
        for text in (
            "matrix=0110-0001-0001-0000,ops=input-conv3x3-maxpool3x3-output",
            "matrix=0110-0001-0001-0000,ops=input-maxpool3x3-conv3x3-output",
            "matrix=01101-00010-00010-00000-00000,ops=input-conv3x3-maxpool3x3-conv1x1-output",
            "matrix=01110-00001-00001-00000-00000,ops=input-conv3x3-maxpool3x3-conv1x1-output",
        )
    }
    assert len(canonical) == 2  # the third text is a path from input to output only
    dangling = space.parse(
        "matrix=01110-00001-00001-00000-00000,ops=input-conv3x3-maxpool3x3-conv1x1-output"
    )
    plain = space.parse("matrix=0110-0001-0001-0000,ops=input-conv3x3-maxpool3x3-output")
    assert space.canonical(dangling) == space.canonical(plain)
    assert parameters(built("nasbench101", dangling)) == parameters(built("nasbench101", plain))


def renumbered(cell: DartsCell, order: tuple[int, ...]) -> DartsCell | None:
    """The cell with node `order[i]` in place i, or None where an input would come later."""
    places = {0: 0, 1: 1} | {node + 2: place + 2 for place, node in enumerate(order)}
    moved = [
        [(name, places[source]) for name, source in cell[2 * node : 2 * node + 2]] for node in order
    ]
    if any(source >= place + 2 for place, pair in enumerate(moved) for _, source in pair):
        return None
    return tuple(edge for pair in moved for edge in reversed(pair))


def test_nasbench301_canonical_form_ignores_the_order_of_nodes() -> None:
    space, rng = spaces.get("nasbench301"), np.random.default_rng(4)
    moved = 0
    for arch in (space.sample(rng) for _ in range(20)):
        for order in permutations(range(4)):
            normal = renumbered(arch.normal, order)
            if normal is None:
                continue
            moved += order != (0, 1, 2, 3)
            same = NasBench301Arch(normal, arch.reduce)
            assert space.canonical(same) == space.canonical(arch)
        assert space.canonical(space.mutate(arch, rng)) != space.canonical(arch)
        assert space.canonical(space.parse(space.canonical(arch))) == space.canonical(arch)
    assert moved > 20


def test_counts_of_the_benchmarks() -> None:
    inputs = comb(2, 2) * comb(3, 2) * comb(4, 2) * comb(5, 2)
    assert spaces.get("nasbench301").count() == (inputs * 7**8) ** 2
    assert spaces.get("nasbench301").enumerate() is None
    assert spaces.get("transnas-macro").count() == 3_256  # as published


# --- texts that are refused ----------------------------------------------------------------------

PLAIN = f"{SKIPS}+skip_connect~0+skip_connect~1+skip_connect~0+skip_connect~1+{SKIPS}"


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        ("nasbench101", "011", "E702", "write it as"),
        ("nasbench101", "matrix=011-001-000", "E703", "lacks ops"),
        ("nasbench101", "matrix=01-00,matrix=01-00,ops=input-output", "E702", "twice"),
        ("nasbench101", "matrix=01-00,op=input-output", "E704", 'did you mean "ops"?'),
        ("nasbench101", "matrix=012-001-000,ops=input-conv3x3-output", "E702", "write it as"),
        ("nasbench101", "matrix=01-001-000,ops=input-conv3x3-output", "E702", "write it as"),
        ("nasbench101", "matrix=011-001-000,ops=input-conv7x7-output", "E706", "maxpool3x3"),
        ("nasbench101", "matrix=011-001-000,ops=input-output", "E707", "3 vertices need as many"),
        ("nasbench101", "matrix=011-001-000,ops=output-conv3x3-input", "E707", "first vertex"),
        ("nasbench101", "matrix=011-101-000,ops=input-conv3x3-output", "E707", "a later one"),
        ("nasbench101", "matrix=010-000-000,ops=input-conv3x3-output", "E707", "depend on its"),
        ("nasbench101", "matrix=0,ops=input", "E707", "2 to 7 vertices"),
        ("nasbench101", "matrix=01111-00111-00011-00001-00000,ops=input-conv1x1-conv1x1-conv1x1-"
         "output", "E707", "at most 9 edges, not 10"),
        ("nasbench301", "normal", "E702", "OP~INPUT"),
        ("nasbench301", f"normal={PLAIN}", "E703", "lacks reduce"),
        ("nasbench301", DARTS.format(SKIPS), "E705", "is 8 pairs"),
        ("nasbench301", DARTS.format(PLAIN.replace("~1", "~x")), "E705", "is 8 pairs"),
        ("nasbench301", DARTS.format(PLAIN.replace("skip_connect~1", "none~1")), "E706", '"none"'),
        ("nasbench301", DARTS.format(PLAIN.replace("~1", "~0")), "E706", "two different ones"),
        ("nasbench301", DARTS.format(PLAIN.replace("~1", "~2")), "E706", "of 0 to 1"),
        ("transnas-macro", "", "E702", "write it as"),
        ("transnas-macro", "1-2-5-3", "E702", "4 both"),
        ("transnas-macro", "64-1234-basic", "E702", "write it as"),
        ("transnas-macro", "2-3-1", "E707", "4 to 6 modules"),
        ("transnas-macro", "1-1-1-1", "E707", "double the channels"),
        ("transnas-macro", "2-2-2-4", "E707", "1 to 3"),
    ],
)  # fmt: skip
def test_an_architecture_outside_its_space_is_refused(
    name: str, text: str, code: str, says: str
) -> None:
    with pytest.raises(InputError) as error:
        spaces.get(name).parse(text)
    assert error.value.diagnostics[0].code == code
    assert says in str(error.value)
