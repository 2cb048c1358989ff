"""Labelled samples at hand, in the forms that torch and NumPy users have them in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from autodas_dsl.data.batches import DEFAULT_SIZE, Batch, drawn
from autodas_dsl.execution.randomness import seed_for, seeded
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line

_FORMS = "give (inputs, labels), tensors or arrays, or a torch Dataset or DataLoader of such pairs"

Samples = Any
"""What `as_batch` takes."""


def as_batch(
    data: Samples,
    *,
    size: int | None = None,
    seed: int = 0,
    everything: bool = False,
    classes_for: Callable[[Tensor], int] | None = None,
) -> Batch:
    """Labelled samples as a batch.

    Parameters
    ----------
    data
        A pair ``(inputs, labels)`` of tensors or arrays, something with such ``x`` and ``y`` (a
        `Batch`), a torch ``Dataset`` of pairs, or a ``DataLoader``; inputs alone where
        `classes_for` is given.
    size : int, optional
        How many samples to take; of a ``Dataset`` or a ``DataLoader`` 64 by default, of a pair all.
        They are chosen by `seed`; from a ``DataLoader`` they are the first.
    everything : bool
        Take all of a ``Dataset`` or ``DataLoader`` where no `size` is given.
    classes_for : callable, optional
        Into how many classes inputs without labels fall; their labels are then random.

    Raises
    ------
    InputError
        E430 for anything else, E421, E422, E425, E426 or E427 for samples that cannot be used.
    """
    if isinstance(data, Batch) and size is None:
        return data
    if isinstance(data, DataLoader | Dataset):
        return _of_torch(data, size, seed, everything)
    if isinstance(data, Tensor | np.ndarray):
        return _unlabelled(_tensor(data, "the inputs"), classes_for, size, seed)
    pair = data if isinstance(data, tuple | list) else _attributes(data)
    if not _is_pair(pair):
        raise InputError("E430", f"data is {_described(data)}", _FORMS)
    x, y = _inputs(pair[0]), _labels(pair[1])
    if len(x) != len(y):
        raise InputError(
            "E421", f"there are {len(x)} inputs and {len(y)} labels", "give a label for each input"
        )
    classes = int(y.max()) + 1
    if size is None:
        return _batch(x, y, classes, "samples as given", len(x), seed)
    rows = torch.from_numpy(_chosen(len(x), size, seed))
    return _batch(x[rows], y[rows], classes, "samples as given", len(x), seed)


def _attributes(data: object) -> tuple[Any, ...]:
    return (getattr(data, "x", None), getattr(data, "y", None))


def _is_pair(pair: Sequence[Any]) -> bool:
    return (
        len(pair) == 2
        and isinstance(pair[0], Tensor | np.ndarray)
        and isinstance(pair[1], Tensor | np.ndarray | list | tuple)
    )


def _unlabelled(
    x: Tensor, classes_for: Callable[[Tensor], int] | None, size: int | None, seed: int
) -> Batch:
    if classes_for is None:
        raise InputError("E430", f"data is {_described(x)}: inputs without labels", _FORMS)
    x = _inputs(x)
    chosen = x[torch.from_numpy(_chosen(len(x), size, seed))]
    classes = classes_for(chosen)
    generator = np.random.default_rng(seed_for(seed, "random labels"))
    y = torch.from_numpy(generator.integers(0, classes, len(chosen))).to(x.device)
    what = f"inputs as given, labels random from {classes} classes"
    return _batch(chosen, y, classes, what, len(x), seed)


def _of_torch(data: Any, size: int | None, seed: int, everything: bool) -> Batch:
    """A batch out of a Dataset or DataLoader, what it holds read one by one."""
    kind = type(data).__name__

    with seeded(seed), foreign(lambda error: reading_fails(error, kind)):
        available = len(data) if _has_places(data) else None
        wanted = size
        if wanted is None and not everything:
            wanted = DEFAULT_SIZE if available is None else min(DEFAULT_SIZE, available)
        if available is None:
            read = list(pairs(data, kind, wanted))
        else:
            places = _chosen(available, wanted, seed)
            items = (data[int(place)] for place in places)
            read = list(pairs(items, kind, wanted, single=True))
    held = sum(len(y) for _, y in read)
    if held < (size or 1):
        raise InputError(
            "E425", f"the {kind} holds {held} samples, {size or 1} are needed", "ask for fewer"
        )
    shapes = sorted({tuple(x.shape[1:]) for x, _ in read})
    if len(shapes) > 1:
        raise InputError(
            "E421",
            f"the {kind} holds inputs of shapes {list(shapes[0])} and {list(shapes[1])}",
            "resize them to one shape",
        )
    x = torch.cat([x for x, _ in read])[:wanted]
    y = torch.cat([y for _, y in read])[:wanted]
    named = getattr(getattr(data, "dataset", data), "classes", None)
    classes = len(named) if isinstance(named, list | tuple) else 0
    which = available if available is not None or wanted is not None else held
    return _batch(x, y, max(classes, int(y.max()) + 1), kind, which, seed)


def reading_fails(error: BaseException, kind: str) -> InputError:
    """The diagnostic for an exception out of a user's Dataset or DataLoader."""
    return InputError(
        "E431", f"reading the {kind} fails: {one_line(error)}", "see that iterating it works"
    )


def _has_places(data: Any) -> bool:
    """Whether single samples can be asked for."""
    return isinstance(data, Dataset) and not isinstance(data, IterableDataset)


def pairs(
    items: Iterable[Any], kind: str, size: int | None, *, single: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels, both with a first axis of samples, until there are enough."""
    seen = 0
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise InputError(
                "E430", f"the {kind} gives {_described(item)}", "let each item be (inputs, labels)"
            )
        x, y = item
        if not isinstance(x, Tensor | np.ndarray):
            raise InputError(
                "E430", f"the inputs of the {kind} are {_described(x)}",
                "turn them into tensors, for pictures with transform=torchvision.transforms."
                "ToTensor()",
            )  # fmt: skip
        alone = single or np.ndim(y) == 0
        inputs = _inputs(_tensor(x, "the inputs")[None] if alone else x)
        labels = _labels([y] if alone else y)
        if len(inputs) != len(labels):
            raise InputError(
                "E421", f"the {kind} gives {len(inputs)} inputs with {len(labels)} labels",
                "give a label for each input",
            )  # fmt: skip
        yield inputs, labels
        seen += len(labels)
        if size is not None and seen >= size:
            return


def _tensor(values: Any, what: str) -> Tensor:
    """A tensor as it is; an array in torch's usual precision."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        found = torch.from_numpy(np.ascontiguousarray(values))
    except TypeError as error:
        raise InputError("E430", f"{what} are {_described(values)}", _FORMS) from error
    return found.to(torch.get_default_dtype()) if found.is_floating_point() else found


def _inputs(given: Any) -> Tensor:
    x = _tensor(given, "the inputs")
    if not x.is_floating_point():
        raise InputError(
            "E421",
            f"the inputs are {_described(x)}",
            "give floating numbers, normalised as the network expects them: x / 255 for pictures",
        )
    if x.ndim < 2 or len(x) == 0:
        raise InputError(
            "E421", f"the inputs are {_described(x)}", "the first axis counts the samples"
        )
    if not bool(x.isfinite().all()):
        raise InputError("E426", "the inputs hold NaN or infinite values")
    return x


def _labels(given: Any) -> Tensor:
    if isinstance(given, list | tuple):
        plain = [one.tolist() if isinstance(one, Tensor) else one for one in given]
        given = np.array(plain, dtype=None if len({np.shape(one) for one in plain}) < 2 else object)
    y = _tensor(given, "the labels")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool or y.ndim != 1:
        raise InputError(
            "E427", f"the labels are {_described(y)}",
            "give one whole number for each input: y.argmax(1) for one-hot rows",
        )  # fmt: skip
    if len(y) and int(y.min()) < 0:
        raise InputError("E422", f"there is a label {int(y.min())}", "labels count from 0")
    return y.long()


def _chosen(available: int, size: int | None, seed: int) -> NDArray[np.int64]:
    """Which samples to take, in the order in which they are given."""
    if size is not None and size > available:
        raise InputError(
            "E425", f"there are {available} samples, {size} were asked for", "ask for fewer"
        )
    return drawn(available, available if size is None else size, seed)


def _batch(
    x: Tensor, y: Tensor, classes: int, what: str, available: int | None, seed: int
) -> Batch:
    if available is None:
        which = f"the first {len(y)} samples"
    elif len(y) == available:
        which = f"all {available} samples"
    else:
        which = f"{len(y)} of {available} samples (seed {seed})"
    return Batch(x, y, classes, f"{what}: {which}")


def _described(data: object) -> str:
    """What was given, in words."""
    if isinstance(data, Tensor):
        return f"a tensor of {str(data.dtype).removeprefix('torch.')} {list(data.shape)}"
    if isinstance(data, np.ndarray):
        return f"an array of {data.dtype} {list(data.shape)}"
    if isinstance(data, Mapping):
        return f"a {type(data).__name__} of {', '.join(map(repr, list(data)[:4])) or 'nothing'}"
    if isinstance(data, tuple | list):
        inner = ", ".join(type(one).__name__ for one in data[:4])
        return f"a {type(data).__name__} of {len(data)}: {inner}" if data else "empty"
    return f"of type {type(data).__name__}"
