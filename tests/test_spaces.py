"""Every space: text, sampling, mutation, counting and networks; spaces of the user's own."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.language.errors import InputError

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = spaces.names()


def code_of(error: pytest.ExceptionInfo[InputError]) -> str:
    return error.value.diagnostics[0].code


def network_of(name: str, text: str) -> nn.Module:
    space = spaces.get(name)
    return space.build(space.parse(text))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_files_of_the_folder_are_the_spaces() -> None:
    stems = {module.name for module in pkgutil.iter_modules(spaces.__path__)}
    held = {
        stem
        for stem in stems
        if hasattr(importlib.import_module(f"autodas_dsl.spaces.{stem}"), "SPACE")
    }
    assert {name.replace("-", "_") for name in NAMES} == held
    assert set(NAMES) >= {
        "autoformer",
        "cifar-resnet",
        "digits-resnet",
        "digits-vit",
        "nasbench201",
        "nds-resnet",
        "pit",
    }


@pytest.mark.parametrize("name", NAMES)
def test_text_round_trip_and_mutation(name: str) -> None:
    space = spaces.get(name)
    rng = np.random.default_rng(0)
    arch = space.sample(rng)
    for _ in range(50):
        text = space.format(arch)
        assert space.parse(text) == arch
        assert hash(arch) == hash(space.parse(text))
        mutant = space.mutate(arch, rng)
        assert mutant != arch
        arch = mutant


@pytest.mark.parametrize("name", NAMES)
def test_sampling_and_mutation_depend_on_the_generator_alone(name: str) -> None:
    space = spaces.get(name)

    def walk() -> list[str]:
        rng = np.random.default_rng(7)
        arch = space.sample(rng)
        return [space.format(arch := space.mutate(arch, rng)) for _ in range(10)]

    assert walk() == walk()


@pytest.mark.parametrize("name", NAMES)
def test_enumeration_agrees_with_count_and_holds_every_sample(name: str) -> None:
    space = spaces.get(name)
    members = space.enumerate()
    if members is None:
        assert space.count() > 100_000
        return
    found = list(members)
    assert len(set(found)) == len(found) == space.count()
    rng = np.random.default_rng(3)
    assert {space.sample(rng) for _ in range(30)} <= set(found)


def test_counts() -> None:
    counts = {name: spaces.get(name).count() for name in NAMES}
    assert counts["cifar-resnet"] == 64
    assert counts["digits-resnet"] == 729
    assert counts["digits-vit"] == 288
    assert counts["nasbench201"] == 15_625
    assert counts["autoformer"] == 3 * (4**12 + 4**13 + 4**14)
    assert counts["pit"] == 16 * 27 * 10  # ten ways to choose three heads that do not fall


@pytest.mark.parametrize("name", ["cifar-resnet", "digits-resnet", "digits-vit", "nasbench201"])
def test_networks_give_logits_and_gradients_to_the_input(name: str) -> None:
    space = spaces.get(name)
    network = space.build(space.sample(np.random.default_rng(1)), classes=7)
    x = torch.randn(2, *space.input_shape, requires_grad=True)
    logits = network(x)
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_large_networks_give_logits() -> None:
    for name, text in [
        ("pit", "base_dim=16,mlp_ratio=2,depth=1-4-2,num_heads=2-2-4"),
        ("nds-resnet", "expansion=4,depth=1-2-1,width=16-32-64"),
        ("nds-resnet", "expansion=1,depth=1-1-2,width=24-16-16"),
    ]:
        space = spaces.get(name)
        with torch.no_grad():
            logits = network_of(name, text).eval()(torch.randn(1, *space.input_shape))
        assert logits.shape == (1, space.classes)


def test_transformers_have_second_derivatives() -> None:
    network = network_of("digits-vit", "patch=4,dim=8,depth=2,heads=2,mlp=1").double()
    weights = [p for p in network.parameters() if p.ndim > 1]
    loss = network(torch.randn(3, 1, 8, 8, dtype=torch.float64)).square().mean()
    first = torch.autograd.grad(loss, weights, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), weights)
    assert all(g.isfinite().all() for g in second)
    assert any(g.abs().max() > 0 for g in second)


@pytest.mark.parametrize("name", ["digits-resnet", "digits-vit", "nasbench201"])
def test_weights_depend_on_the_random_state_alone(name: str) -> None:
    space = spaces.get(name)
    arch = space.sample(np.random.default_rng(5))

    def weights(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [p.detach() for p in space.build(arch).parameters()]

    again = zip(weights(1), weights(1), strict=True)
    other = zip(weights(1), weights(2), strict=True)
    assert all(torch.equal(one, two) for one, two in again)
    assert not all(torch.equal(one, two) for one, two in other)


def test_teachers_are_larger_than_the_students() -> None:
    space, arch = spaces.resolve("cifar-resnet:9-9-9")
    assert parameters(space.build(arch, classes=10)) == 855_770  # ResNet-56, 1x1 shortcuts
    space, arch = spaces.resolve("digits-resnet:depth=1-1-1,width=32-64-64")
    assert space.format(arch) == space.teacher


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        ("cifar-resnet", "1-2", "E705", "is 3 long"),
        ("cifar-resnet", "0-1-1", "E706", "allowed: 1, 3, 5, 7 (or 1 to 200 in a teacher)"),
        ("cifar-resnet", "1-x-1", "E706", '"x"'),
        ("cifar-resnet", "", "E705", "write it as"),
        ("cifar-resnet", "1--1", "E706", 'cannot be ""'),
        ("cifar-resnet", "1-1.5-1", "E706", "1.5"),
        ("digits-resnet", "depth=1-1-1", "E703", "lacks width"),
        ("digits-resnet", "1-1-1", "E702", "write it as"),
        ("digits-resnet", "depth=1-1-1,widht=4-4-4", "E704", 'did you mean "width"?'),
        ("digits-resnet", "depth=1-1-1,depth=1-1-1,width=4-4-4", "E702", "twice"),
        ("digits-vit", "patch=3,dim=8,depth=1,heads=1,mlp=1", "E706", "allowed: 2, 4"),
        ("digits-vit", "patch=1e9,dim=8,depth=1,heads=1,mlp=1", "E706", "1e9"),
        ("pit", "base=16,mlp=2,depth=1-4-2,heads=4-2-2", "E707", "must not become fewer"),
        ("pit", "base=16,mlp=2,depth=4-1-2,heads=2-2-2", "E706", "allowed: 1, 2, 3"),
        ("autoformer", "hidden=192,depth=12,mlp=4-4,heads=3-3", "E705", "is 12 long"),
        ("nds-resnet", "expansion=2,depth=1-1-1,width=16-16-16", "E706", "allowed: 1, 4"),
        ("nasbench201", "|none~0|+|none~0|none~1|", "E702", "|op~0|"),
        ("nasbench201", "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "E702", "|op~0|"),
        ("nasbench201", "|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|", "E706", "nor_conv_1x1"),
    ],
)
def test_an_architecture_outside_its_space_is_refused(
    name: str, text: str, code: str, says: str
) -> None:
    with pytest.raises(InputError) as error:
        spaces.get(name).parse(text)
    assert code_of(error) == code
    assert says in str(error.value)


def test_fields_are_read_under_their_other_names() -> None:
    space = spaces.get("pit")
    arch = space.parse("base=32,mlp=4,depth=1-6-6,heads=2-8-8")
    assert space.format(arch) == "base_dim=32,mlp_ratio=4,depth=1-6-6,num_heads=2-8-8"
    assert space.fields == ("base_dim", "mlp_ratio", "depth", "num_heads")


def test_a_space_without_fields_says_so() -> None:
    with pytest.raises(InputError) as error:
        spaces.get("nasbench201").from_fields({"op": "none"})
    assert code_of(error) == "E701"


def test_an_unknown_space_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        spaces.get("cifar-resnets")
    assert code_of(error) == "E710"
    assert 'did you mean "cifar-resnet"?' in str(error.value)
    with pytest.raises(InputError):
        spaces.get("fields")  # a file of the folder that is no space


def test_resolve_needs_a_colon() -> None:
    with pytest.raises(InputError) as error:
        spaces.resolve("cifar-resnet")
    assert code_of(error) == "E714"


def test_a_users_own_space() -> None:
    path = EXAMPLES / "my_space.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40
    space = spaces.load(path)
    assert space.count() == 3 * 3**4
    found, arch = spaces.resolve(f"{path}:width=8,ops=conv1-skip-conv3-conv3")
    assert type(found).__name__ == "TinyConvNets"
    assert found.build(arch)(torch.randn(2, 3, 32, 32)).shape == (2, 10)


SUBCLASS = """
from dataclasses import dataclass
from torch import nn
from autodas_dsl.spaces import Field, FieldSpace

@dataclass(frozen=True)
class Arch:
    width: int

class Mine(FieldSpace[Arch]):
    name, input_shape, classes, arch_type = "mine", (4,), 2, Arch
    parts = (Field("width", (1, 2)),)

    def build(self, arch, classes=None):
        return nn.Sequential(nn.Linear(4, arch.width), nn.Linear(arch.width, 2))
"""


def test_a_users_subclass_needs_no_instance(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(SUBCLASS, encoding="utf-8")
    assert [spaces.load(path).format(arch) for arch in spaces.load(path).enumerate() or ()] == [
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("import nothing_like_this", "E712", "nothing_like_this"),
        ("x = 1\nx.y", "E712", "line 2"),
        ("def f(:", "E712", "SyntaxError"),
        ("width = 3", "E713", "holds no space"),
        ("space = 3", "E713", "holds no space"),
        (SUBCLASS + "\nclass Two(Mine):\n    name = 'two'\n", "E713", "holds no space"),
    ],
)
def test_a_users_file_that_is_wrong(tmp_path: Path, text: str, code: str, says: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        spaces.load(path)
    assert code_of(error) == code
    assert says in str(error.value)


def test_a_users_file_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        spaces.get(str(tmp_path / "none.py"))
    assert code_of(error) == "E711"


@pytest.mark.parametrize("stem", ["resnet20", "resnet56", "resnet110"])
def test_example_models(stem: str) -> None:
    found: dict[str, object] = {}
    exec(compile((EXAMPLES / f"{stem}.py").read_text(encoding="utf-8"), stem, "exec"), found)
    network = found["build_model"]()  # type: ignore[operator]
    blocks = {"resnet20": "3-3-3", "resnet56": "9-9-9", "resnet110": "18-18-18"}[stem]
    space, arch = spaces.resolve(f"cifar-resnet:{blocks}")
    assert parameters(network) == parameters(space.build(arch, classes=10))
    assert found["input"] == (3, 32, 32)
