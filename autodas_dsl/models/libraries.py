"""Networks of model libraries: transformers, timm and torchvision, without any download."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, importing, one_line, require
from autodas_dsl.language.nearest import nearest
from autodas_dsl.models.source import ModelSource

_TRANSFORMERS = ("transformers", "transformers", "hf")


def hf_source(name: str, classes: int | None = None) -> ModelSource:
    """An image classifier of ``transformers``.

    Parameters
    ----------
    name : str
        A model type (``vit``, ``deit``, ``resnet``: its default configuration), a JSON file of a
        configuration, or a folder with ``config.json``. A folder that also holds weights gives
        them to the network; otherwise they are random.
    classes : int, optional
        By default what the configuration says.

    Raises
    ------
    InputError
        E405 or E414, when transformers is missing or does not import; E406, when there is no such
        configuration or no image classifier of that type.
    """
    library = require(*_TRANSFORMERS, f"hf:{name}")
    path = Path(name)
    folder = path if path.is_dir() else None
    config = _hf_config(library, name, path)
    with importing(*_TRANSFORMERS, f"hf:{name}"):  # it imports its parts when they are used
        known = library.AutoModelForImageClassification._model_mapping
        kinds = known.get(type(config), ())
    if not kinds:
        raise InputError(
            "E406",
            f"transformers has no image classifier of type {config.model_type!r}",
            "give the configuration of an image classifier, such as hf:vit",
        )
    if classes is not None:
        config.num_labels = classes
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    named = [kind for kind in kinds if kind.__name__ in (config.architectures or ())]
    kind = (named or kinds)[0]
    trained = folder is not None and any(
        (folder / file).is_file() for file in ("model.safetensors", "pytorch_model.bin")
    )

    make = partial(kind, config)
    if trained:
        make = partial(
            kind.from_pretrained,
            str(folder),
            config=config,
            local_files_only=True,
            weights_only=True,
        )
    weights = f"weights of {name}" if trained else "random weights"
    return ModelSource(f"hf:{name}", make, _hf_shape(config), int(config.num_labels), weights)


def _hf_config(library: Any, name: str, path: Path) -> Any:
    def describe(error: BaseException) -> InputError:
        return InputError(
            "E406",
            f"{name} is no configuration of transformers: {one_line(error)}",
            'a configuration names its "model_type"',
        )

    with importing(*_TRANSFORMERS, f"hf:{name}"):
        make = library.AutoConfig.for_model
        types = library.models.auto.configuration_auto.CONFIG_MAPPING
    if path.is_dir() or path.suffix == ".json":
        file = path / "config.json" if path.is_dir() else path
        if not file.is_file():
            raise InputError("E406", f"there is no configuration {file}")
        with foreign(describe):
            values = json.loads(file.read_text(encoding="utf-8"))
            return make(values.pop("model_type"), **values)
    if name not in types:
        close = nearest(name, types.keys())
        raise InputError(
            "E406",
            f"transformers knows no model type {name!r} and there is no such file",
            f"did you mean hf:{close}?" if close else "give a type, a JSON file or a folder",
        )
    with foreign(describe):
        return types[name]()


def _hf_shape(config: Any) -> tuple[int, ...] | None:
    channels = getattr(config, "num_channels", 3)
    size = getattr(config, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else tuple(size)[:2]
    return (int(channels), int(height), int(width))


def timm_source(name: str, classes: int | None = None) -> ModelSource:
    """A network of timm with random weights, with its usual number of classes or another.

    Raises
    ------
    InputError
        E405 or E414, when timm is missing or does not import; E406, when it has no such model.
    """
    timm = require("timm", "timm", "timm", f"timm:{name}")
    _known("timm", name, timm.list_models())
    settings = timm.get_pretrained_cfg(name)
    shape = tuple(settings.input_size) if settings is not None else (3, 224, 224)
    usual = settings.num_classes if settings is not None else 1000
    told = {} if classes is None else {"num_classes": classes}
    return ModelSource(
        f"timm:{name}",
        partial(timm.create_model, name, **told),
        shape,
        classes or usual or None,  # 0: a backbone without classifier
    )


def torchvision_source(name: str, classes: int | None = None) -> ModelSource:
    """A classifier of torchvision with random weights, with its usual number of classes or another.

    Raises
    ------
    InputError
        E405 or E414, when torchvision is missing or does not import; E406, when it has no such
        model.
    """
    models = require("torchvision.models", "torchvision", "torchvision", f"torchvision:{name}")
    _known("torchvision", name, models.list_models(module=models))
    size = 299 if name == "inception_v3" else 224
    told = {} if classes is None else {"num_classes": classes}
    return ModelSource(
        f"torchvision:{name}",
        partial(models.get_model_builder(name), weights=None, **told),
        (3, size, size),
        classes or 1000,
    )


def _known(library: str, name: str, names: list[str]) -> None:
    if name in names:
        return
    close = nearest(name, names)
    raise InputError(
        "E406",
        f"{library} has no model {name!r}",
        f"did you mean {library}:{close}?" if close else f"see the models of {library}",
    )
