"""Networks from what the user writes: files, libraries, spaces; and their weights."""

from __future__ import annotations

import json
import pickle
import random
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from safetensors.torch import save_file
from torch import nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import require
from autodas_dsl.models.load import load_models
from autodas_dsl.models.weights import load_weights
from autodas_dsl.statistics.collect import classes_of

HEADER = "from torch import nn\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "net.py") -> str:
        path = tmp_path / name
        path.write_text(HEADER + text)
        return str(path)

    return write


def test_build_model(write) -> None:
    path = write("input = (1, 8, 8)\nclasses = 10\ndef build_model():\n    return nn.Linear(2, 3)")
    (source,) = load_models(path)
    assert source.name == path
    assert source.input_shape == (1, 8, 8)
    assert source.classes == 10
    assert isinstance(source.build(), nn.Linear)


def test_module_level_model_and_no_announcement(write) -> None:
    (source,) = load_models(write("model = nn.Linear(2, 3)"))
    assert source.input_shape is None
    assert source.classes is None
    assert isinstance(source.build(), nn.Linear)


def test_models_returns_networks_or_functions(write) -> None:
    path = write(
        "def models():\n    return {'wide': nn.Linear(2, 9), 'lazy': lambda: nn.Linear(2, 4)}"
    )
    wide, lazy = load_models(path)
    assert (wide.name, lazy.name) == (f"{path}:wide", f"{path}:lazy")
    assert wide.build().out_features == 9
    assert lazy.build().out_features == 4


def test_a_named_callable(write) -> None:
    path = write("model = nn.Linear(1, 1)\ndef small():\n    return nn.Linear(2, 3)\nbig = small")
    assert load_models(f"{path}:small")[0].build().out_features == 3
    assert load_models(f"{path}:big")[0].name == f"{path}:big"


def test_a_class_can_be_named(write) -> None:
    path = write(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(2, 7)"
    )
    assert load_models(f"{path}:Net")[0].build().a.out_features == 7


NET = (
    "class Net(nn.Module):\n"
    "    def __init__(self, width{default}, *, depth=1):\n"
    "        super().__init__()\n"
    "        self.layers = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])\n"
)


def test_a_call_with_literal_arguments(write) -> None:
    path = write(NET.format(default="") + "def sized(sizes, name=None): return nn.Linear(*sizes)")
    (source,) = load_models(f"{path}:Net(16, depth=2)")
    assert source.name == f"{path}:Net(16, depth=2)"
    assert [layer.in_features for layer in source.build().layers] == [16, 16]
    assert torch.equal(source.build(1).layers[0].weight, source.build(1).layers[0].weight)
    assert load_models(f"{path}:sized([2, 5], name='x')")[0].build().out_features == 5


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("Net(16, depth=n)", "E413.*neither a name .* nor a call with plain values"),
        ("Net(16", "E413"),
        ("Net(*[16])", "E413"),
        ("Net(**{'width': 16})", "E413"),
        ("Net(open('x'))", "E413"),
        ("Net(__import__('os').getcwd())", "E413"),
        ("Net(1).layers", "E413"),
        ("Net(16)(3)", "E413"),
        ("1 + 1", "E413"),
        ("Nett(16)", "E403.*has no 'Nett'\n.*it defines '.*:Net\\(width\\)'"),
        ("Net", "E403.*missing 1 required .*\n.*write its arguments: '.*:Net\\(width\\)'"),
        ("Net(16, size=2)", "E403.*Net.. fails.*unexpected keyword argument 'size'"),
        ("made(3)", "E413.*made in .* is of type Linear, which is not called"),
    ],
)
def test_bad_calls(wanted: str, message: str, write) -> None:
    path = write(NET.format(default="") + "made = nn.Linear(1, 1)")
    with pytest.raises(InputError, match=message):
        load_models(f"{path}:{wanted}")


def test_one_class_is_built_where_it_needs_nothing(write) -> None:
    path = write(NET.format(default="=3"))
    assert load_models(path)[0].name == path
    assert load_models(path)[0].build().layers[0].in_features == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NET.format(default=""), "defines the class Net and no network.*\n.*net.py:Net\\(width\\)'"),
        (NET.format(default="=3") + "class Other(Net): pass",
         "defines Net, Other, none of them called `model`\n.*net.py:Net' or '.*net.py:Other'"),
        (NET.format(default="") + "net = Net(3)",
         "defines net, Net, none.*\n.*net.py:net' or '.*net.py:Net\\(width\\)'"),
        ("from torch.nn import Linear", "defines no model"),
    ],
)  # fmt: skip
def test_a_file_without_a_model_says_what_to_write(text: str, message: str, write) -> None:
    with pytest.raises(InputError, match=f"E403.*{message}"):
        load_models(write(text))


def test_shape_and_classes_may_be_told(write) -> None:
    path = write("model = nn.Linear(2, 3)")
    (source,) = load_models(path, input_shape=(2,), classes=3)
    assert (source.input_shape, source.classes) == ((2,), 3)
    (source,) = load_models("cifar-resnet:1-1-1", classes=7)
    assert source.classes == source.build().fc.out_features == 7


@pytest.mark.parametrize(
    "text", ["model = nn.Linear(2, 3)", "def build_model():\n    return nn.Linear(2, 3)"]
)
def test_weights_depend_on_the_seed_alone(text: str, write) -> None:
    (source,) = load_models(write(text))
    torch.manual_seed(3)
    state = (torch.get_rng_state(), random.getstate())
    first = source.build(seed=5)
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1] == random.getstate()
    torch.manual_seed(4)
    assert torch.equal(first.weight, source.build(seed=5).weight)
    assert not torch.equal(first.weight, source.build(seed=6).weight)
    torch.manual_seed(5)
    assert torch.equal(first.weight, nn.Linear(2, 3).weight)


def test_a_file_imports_its_neighbours(write) -> None:
    write("def make():\n    return nn.Linear(2, 5)", "neighbour_of_net.py")
    path = write(
        "import neighbour_of_net\n"
        "def build_model():\n    import neighbour_of_net as n\n    return n.make()"
    )
    before = list(sys.path)
    assert load_models(path)[0].build().out_features == 5
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "E402.*line 2: ModuleNotFoundError"),
        ("\n\nmodel = nn.Linear(", "E402.*line 4: SyntaxError"),
        ("x = 1\ny = x / 0", "E402.*line 3: ZeroDivisionError"),
        ("raise SystemExit(3)", "E402.*line 2: SystemExit"),
        ("x = 1", "E403.*defines no model"),
        ("model = 3", "E404.*type int"),
        ("def build_model():\n    return 'net'", "E404.*type str"),
        (
            "def build_model():\n    return undefined",
            "E403.*build_model.. fails: line 3: NameError",
        ),
        ("def build_model(size):\n    return size", "E403.*build_model.. fails.*TypeError"),
        ("model = nn.Linear(1, 1)\ninput = (3, '32')", "E403.*input"),
        ("model = nn.Linear(1, 1)\nclasses = -1", "E403.*classes"),
    ],
)
def test_bad_files(text: str, message: str, write) -> None:
    with pytest.raises(InputError, match=message):
        load_models(write(text))


def test_bad_members_and_missing_files(write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"E403.*has no 'nothing'"):
        load_models(write("model = nn.Linear(1, 1)") + ":nothing")
    with pytest.raises(InputError, match=r"E401.*no model file"):
        load_models(str(tmp_path / "missing.py"))
    (wrong, fails) = load_models(
        write("def models():\n    return {'wrong': 3, 'fails': lambda: 1 / 0}")
    )
    with pytest.raises(InputError, match=r"E404.*:wrong.*int"):
        wrong.build()
    with pytest.raises(InputError, match=r"E403.*:fails.*ZeroDivision"):
        fails.build()


def test_interrupts_are_not_swallowed(write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_models(write("raise KeyboardInterrupt"))


@pytest.mark.parametrize("text", ["resnet", "", ":", "cifar-resnet:", "net.txt"])
def test_no_model(text: str) -> None:
    with pytest.raises(InputError, match="E409"):
        load_models(text)


def test_classes_of_a_network_that_does_not_announce_them() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 7))
    assert classes_of(network, (3, 2, 2)) == 7
    with pytest.raises(InputError, match="E440"):
        classes_of(network, (1, 2, 2))


# -- libraries ---------------------------------------------------------------------------------


def test_transformers_by_type_file_and_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    settings = {
        "model_type": "vit", "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "image_size": 16, "patch_size": 8, "num_labels": 7,
    }  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(settings))
    (by_file,), (by_folder,) = load_models(f"hf:{file}"), load_models(f"hf:{tmp_path}")
    for source in (by_file, by_folder):
        assert (source.input_shape, source.classes) == ((3, 16, 16), 7)
        assert source.weights == "random weights"
    built = by_file.build(seed=1)
    assert torch.equal(built.classifier.weight, by_folder.build(seed=1).classifier.weight)
    assert not torch.equal(built.classifier.weight, by_file.build(seed=2).classifier.weight)
    built.save_pretrained(tmp_path)
    (trained,) = load_models(f"hf:{tmp_path}")
    assert trained.weights.startswith("weights of")
    assert torch.equal(built.classifier.weight, trained.build(seed=9).classifier.weight)
    assert isinstance(
        load_models("hf:resnet")[0].build(), transformers.ResNetForImageClassification
    )


def transformer(folder: Path, width: int, trained: int | None = None) -> nn.Module:
    """A small vision transformer, its configuration in a folder, with weights where seeded."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=width, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        image_size=16, patch_size=8, num_labels=7,
    )  # fmt: skip
    torch.manual_seed(trained or 0)
    network = transformers.ViTForImageClassification(config).train()
    (config if trained is None else network).save_pretrained(folder)
    return network


def test_transformers_are_scored_with_a_teacher_and_without(tmp_path: Path) -> None:
    student, teacher = tmp_path / "student", tmp_path / "teacher"
    networks = transformer(student, 12, trained=1), transformer(teacher, 24, trained=2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3, 16, 16)).astype(np.float32)
    y = rng.integers(7, size=8)
    np.savez(tmp_path / "batch.npz", x=x, y=y)
    words = ("score", f"hf:{student}", "--data", tmp_path / "batch.npz", "--format", "json",
             "--dtype", "float64")  # fmt: skip
    formulas = ("-p", "params", "-p", "snip", "-p", "sum(mean(H))")
    alone = run(*words, *formulas)
    taught = run(*words, *formulas, "-p", "kd", "--teacher", f"hf:{teacher}")
    assert f"models: weights of {student}" in alone.stderr
    found, with_teacher = (
        {row["proxy"]: row["score"] for row in json.loads(one.stdout)} for one in (alone, taught)
    )

    logits, taught_logits = (one.double()(torch.from_numpy(x).double()).logits for one in networks)
    nn.functional.cross_entropy(logits, torch.from_numpy(y)).backward()
    weights = [
        one.weight for one in networks[0].modules() if isinstance(one, nn.Linear | nn.Conv2d)
    ]
    assert found["params"] == sum(weight.numel() for weight in networks[0].parameters())
    assert found["sum(mean(H))"] == pytest.approx(2 * 1 / 5)  # a map's rows of 5 tokens sum to 1
    assert found["snip"] == pytest.approx(
        sum((weight * weight.grad).abs().sum().item() for weight in weights)
    )
    kl = nn.functional.kl_div(
        (logits / 4).log_softmax(1), (taught_logits / 4).softmax(1), reduction="batchmean"
    )
    assert with_teacher.pop("kd") == pytest.approx(-16 * kl.item())
    assert with_teacher == found


def test_transformers_of_a_folder_without_weights_are_random(tmp_path: Path) -> None:
    transformer(tmp_path / "student", 12)
    words = ("score", f"hf:{tmp_path / 'student'}", "-p", "snip", "--batch-size", 8)
    first, again, other = (run(*words, "--seed", seed) for seed in (1, 1, 2))
    assert "models: random weights" in first.stderr
    assert first.stdout == again.stdout != other.stdout


@pytest.mark.parametrize("name", ["timm:test_vit", "torchvision:squeezenet1_1"])
def test_installed_libraries_are_scored_from_random_weights(name: str) -> None:
    pytest.importorskip(name.partition(":")[0], exc_type=(ImportError, RuntimeError))
    words = ("score", name, "-p", "params", "-p", "snip", "--batch-size", 4, "--format", "json")
    rows = json.loads(run(*words, "--input-shape", "3x160x160").stdout)
    scores = {row["proxy"]: row["score"] for row in rows}
    network = load_models(name)[0].build()
    assert scores["params"] == sum(weight.numel() for weight in network.parameters())
    assert scores["snip"] > 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vitt", "E406.*no model type 'vitt'.*\n.*did you mean hf:vit"),
        ("missing.json", "E406.*no configuration"),
        ("bert", "E406.*no image classifier of type 'bert'"),
        ("org/vit-base", "E406"),
    ],
)
def test_transformers_errors(name: str, message: str) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match=message):
        load_models(f"hf:{name}")


def test_transformers_configuration_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for text in ("{", "[]", "{}", '{"model_type": "vit", "hidden_size": "x"}'):
        file = tmp_path / "config.json"
        file.write_text(text)
        with pytest.raises(InputError, match=r"E40[36]"):
            load_models(f"hf:{file}")[0].build()


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("hf:vit", "transformers"),
        ("timm:resnet18", "timm"),
        ("torchvision:resnet18", "torchvision"),
    ],
)
def test_a_missing_library_is_one_line(
    text: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.models", None)
    with pytest.raises(InputError, match=f"E405.*needs {package}.*not installed") as caught:
        load_models(text)
    assert f"pip install {package}" in caught.value.render()


BROKEN = {
    "lacks.py": "import a_package_that_is_not_there",
    "fails.py": "raise OSError('libcudart.so.11: cannot open shared object file')",
    "wraps.py": """
try:
    import a_package_that_is_not_there.part
except ImportError as error:
    raise RuntimeError("Could not import module 'X'. Are its requirements fulfilled?") from error
""",
}


@pytest.mark.parametrize(
    ("module", "cause", "mend"),
    [
        ("lacks", "ModuleNotFoundError: No module named 'a_package_that_is_not_there'",
         "lacks needs a_package_that_is_not_there: pip install a_package_that_is_not_there"),
        ("fails", "OSError: libcudart.so.11: cannot open", 'python -c "import fails"'),
        ("wraps", "ModuleNotFoundError: No module named 'a_package_that_is_not_there'",
         "wraps needs a_package_that_is_not_there: pip install a_package_that_is_not_there"),
    ],
)  # fmt: skip
def test_a_library_that_is_there_but_does_not_import(
    module: str, cause: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError) as error:
        require(module, module, "extra", "this")
    said = error.value.render()
    assert f"E414]: this needs {module}, which is installed but does not import: {cause}" in said
    assert mend in said
    assert "not installed" not in said
    assert len(said.splitlines()) == 2


def test_transformers_that_fails_when_a_part_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            if name.startswith("__"):
                raise AttributeError(name)
            try:
                raise ImportError("cannot import name 'StrEnum' from 'enum'")
            except ImportError as error:
                raise RuntimeError(
                    "Failed to import transformers.models.auto:\nmany lines"
                ) from error

    monkeypatch.setitem(sys.modules, "transformers", Lazy("transformers"))
    with pytest.raises(InputError) as error:
        load_models("hf:vit")
    said = error.value.render()
    assert "E414]: hf:vit needs transformers, which is installed but does not import: " in said
    assert "ImportError: cannot import name 'StrEnum' from 'enum'" in said
    assert len(said.splitlines()) == 2


def test_timm_and_torchvision_by_their_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = types.ModuleType("timm")
    timm.list_models = lambda: ["resnet18"]
    timm.get_pretrained_cfg = lambda name: types.SimpleNamespace(
        input_size=(3, 64, 64), num_classes=11
    )
    timm.create_model = lambda name, num_classes=11: nn.Linear(1, num_classes)
    monkeypatch.setitem(sys.modules, "timm", timm)
    (source,) = load_models("timm:resnet18")
    assert (source.input_shape, source.classes) == ((3, 64, 64), 11)
    assert source.build().out_features == 11
    (smaller,) = load_models("timm:resnet18", classes=4)
    assert smaller.build().out_features == smaller.classes == 4
    with pytest.raises(InputError, match=r"E406.*\n.*did you mean timm:resnet18"):
        load_models("timm:resnet81")
    models = types.ModuleType("torchvision.models")
    models.list_models = lambda module: ["alexnet"]
    models.get_model_builder = lambda name: lambda weights: nn.Linear(1, 1000)
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    (source,) = load_models("torchvision:alexnet")
    assert source.build().out_features == source.classes == 1000
    with pytest.raises(InputError, match="E406"):
        load_models("torchvision:vgg")


def test_a_space_and_an_architecture() -> None:
    spaces = pytest.importorskip("autodas_dsl.spaces")
    if not hasattr(spaces, "resolve"):
        pytest.skip("no spaces yet")
    (source,) = load_models("cifar-resnet:1-1-1")
    assert (source.input_shape, source.classes) == ((3, 32, 32), 100)
    assert torch.equal(source.build(seed=1).state_dict()["conv1.weight"],
                       source.build(seed=1).state_dict()["conv1.weight"])  # fmt: skip
    with pytest.raises(InputError):
        load_models("no-such-space:1")


# -- weights -----------------------------------------------------------------------------------


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("kind", ["safetensors", "npz", "pt", "nested.pth"])
def test_weights_from_every_kind_of_file(kind: str, network: nn.Module, tmp_path: Path) -> None:
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    path = tmp_path / f"w.{kind}"
    state = other.state_dict()
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "npz":
        np.savez(path, **{k: v.numpy() for k, v in state.items()})
    else:
        torch.save({"state_dict": state} if kind == "nested.pth" else state, path)
    load_weights(network, path)
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())


class Payload:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_weights_that_would_run_code_are_refused(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"0.weight": Payload()}, "w.pt")
    Path("raw.pth").write_bytes(pickle.dumps(Payload()))
    np.savez("w.npz", **{"0.weight": np.array([Payload()], dtype=object)})
    for name in ("w.pt", "raw.pth", "w.npz"):
        with pytest.raises(InputError, match="E407"):
            load_weights(network, name)
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pt", "w.txt"])
@pytest.mark.parametrize("content", [b"", b"nonsense that is no file of weights", b"sdf\n"])
def test_damaged_weights(name: str, content: bytes, network: nn.Module, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="E407"):
        load_weights(network, tmp_path / name)


def test_weights_that_are_no_numbers(network: nn.Module, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"0.weight": np.array(["high"])})
    with pytest.raises(InputError, match=r"E407.*cannot be read"):
        load_weights(network, tmp_path / "w.npz")


def test_refused_weights_warn_of_nothing(
    network: nn.Module, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Payload(), protocol=4))
    with pytest.raises(InputError, match="E407"):
        load_weights(network, tmp_path / "w.pth")
    assert not recwarn.list


def test_weights_of_another_network(network: nn.Module, tmp_path: Path) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    wider = {**before, "0.weight": torch.zeros(4, 2)}
    fewer = {k: v for k, v in before.items() if k != "0.bias"}
    cases = [
        (wider, "'0.weight' is"),
        (fewer, "no '0.bias'"),
        ({**before, "z": wider["0.weight"]}, "unknown 'z'"),
    ]
    for state, message in cases:
        torch.save(state, tmp_path / "w.pt")
        with pytest.raises(InputError, match=f"E407.*{message}"):
            load_weights(network, tmp_path / "w.pt")
    torch.save([1, 2], tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"E407.*no state dict"):
        load_weights(network, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"E407.*no file"):
        load_weights(network, tmp_path / "missing.pt")
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
