"""Finding the feature map F, the embedding E and the classifier of a network as it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.language.nearest import nearest
from autodas_dsl.statistics.capture import Intercepting, first_tensor
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.layers import WEIGHTED
from autodas_dsl.statistics.network import Network

_IGNORED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Softmax, nn.Identity)
_POOLING = frozenset({
    F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, F.avg_pool2d,
    torch.mean, torch.Tensor.mean, torch.amax, torch.Tensor.amax, torch.flatten,
    torch.Tensor.flatten, torch.Tensor.view, torch.Tensor.reshape, torch.reshape,
})  # fmt: skip
_EXTRA_TOKENS = 5  # a class token, a distillation token, four registers


@dataclass(frozen=True, eq=False)
class Seen:
    """A tensor with positions that a module returned."""

    name: str
    tensor: Tensor

    @property
    def depth(self) -> int:
        return self.name.count(".")


@dataclass(frozen=True, eq=False)
class Head:
    """One call of a Conv or Linear layer, and the last map seen before it."""

    name: str
    module: nn.Module
    input: Tensor
    output: Tensor
    before: Seen | None

    @property
    def width(self) -> int:
        return self.output.shape[-1 if isinstance(self.module, nn.Linear) else 1]


@dataclass(eq=False)
class FeatureFinder:
    """Watches one forward pass.

    Parameters
    ----------
    network : Network
    samples : int
        Batch size.
    named : mapping
        Modules named by the user: ``"F"``, ``"F[-2]"`` (whose output is taken) and ``"E"`` (the
        classifier, whose input is taken).
    stages : bool
        Keep every map, for earlier stages.
    classes : int
        Classes of the batch, the width that the classifier is expected to have; it is then found
        even where another layer is called after it.
    """

    network: Network
    samples: int
    named: Mapping[str, str]
    stages: bool = False
    classes: int = 0
    last: Seen | None = None
    every: list[Seen] = field(default_factory=list)
    steady: dict[str, int] = field(default_factory=dict)  # resolution of modules that keep it
    chosen: dict[str, Seen] = field(default_factory=dict)
    named_head: Head | None = None
    expected_head: Head | None = None
    latest_head: Head | None = None

    def attach(self, stack: ExitStack) -> None:
        """Hook the network until `stack` closes.

        Raises
        ------
        StatisticError
            E448, when a module named by the user does not exist.
        """
        everything = dict(self.network.module.named_modules(remove_duplicate=False))
        keys: dict[nn.Module, list[str]] = {}
        for key, name in self.named.items():
            if name not in everything:
                close = nearest(name, everything)
                raise StatisticError(
                    "E448",
                    f"{key} is to be taken at {name!r}, but the network has no such module",
                    f"did you mean {close!r}?" if close else "see print(model) for its modules",
                )
            keys.setdefault(everything[name], []).append(key)
        for module, name in self.network.names.items():
            if module in keys or (name and not isinstance(module, _IGNORED)):
                hook = self._hook(name, keys.get(module, []))
                stack.callback(module.register_forward_hook(hook).remove)
        stack.enter_context(Intercepting(self._watch_pooling))

    def _hook(self, name: str, keys: list[str]) -> Callable[[nn.Module, Any, Any], None]:
        def keep(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is None:
                return
            for key in keys:
                self.chosen[key] = Seen(name, tensor)
            source = first_tensor(args)
            if source is not None and (isinstance(module, WEIGHTED) or "E" in keys):
                self._meet(Head(name, module, source, tensor, self.last), "E" in keys)
            if name and self.has_positions(tensor):
                self._see(name, tensor, tensor is output)
                if self.stages:
                    self._compare(name, source, tensor)

        return keep

    def _meet(self, head: Head, named: bool) -> None:
        # Few heads are kept: every tensor held longer than the network holds it costs time.
        self.latest_head = head
        if head.width == self.classes:
            self.expected_head = head
        if named:
            self.named_head = head

    def has_positions(self, tensor: Tensor) -> bool:
        if tensor.dim() < 3 or tensor.shape[0] != self.samples:
            return False
        return math.prod(tensor.shape[2:]) > 1 if tensor.dim() > 3 else tensor.shape[1] > 1

    def _see(self, name: str, tensor: Tensor, plain: bool) -> None:
        same = self.last is not None and self.last.tensor is tensor
        if self.last is None or not same or plain:
            self.last = Seen(name, tensor)
        if self.stages:
            self.every.append(self.last if same and not plain else Seen(name, tensor))

    def _compare(self, name: str, source: Tensor | None, tensor: Tensor) -> None:
        if source is not None and self.has_positions(source) and _area(source) == _area(tensor):
            self.steady[name] = _area(tensor)

    def _watch_pooling(self, func: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Take the very input of the pooling where a function changed the map before it."""
        result = func(*args, **options)
        if func in _POOLING and self.last is not None:
            source = args[0]
            if (
                isinstance(source, Tensor)
                and source is not self.last.tensor
                and source.dim() == 4
                and source.shape == self.last.tensor.shape
                and (result.dim() == 2 or math.prod(result.shape[2:]) == 1)
            ):
                self.last = Seen(self.last.name, source)
        return result

    def classifier(self, classes: int) -> Head | None:
        """The last Conv or Linear layer with one output per class, or the one named."""
        if "E" in self.named:
            return self.named_head
        heads = (self.latest_head, self.expected_head)
        return next((h for h in heads if h is not None and h.width == classes), None)


def embedding(head: Head) -> Tensor:
    """The input of the classifier as ``[B, D]``: positions, if it has any, are averaged."""
    x = head.input
    if x.dim() <= 2:
        return x
    channels_last = isinstance(head.module, nn.Linear)
    return x.flatten(1, -2).mean(1) if channels_last else x.flatten(2).mean(2)


def as_map(tensor: Tensor, embedded: Tensor | None, channels_first: bool) -> tuple[Tensor, int]:
    """A map or token sequence as ``[B, C, H, W]``, and how many leading tokens were left out.

    Parameters
    ----------
    embedded : Tensor, optional
        The embedding ``[B, D]``, which tells the channel axis and the class token.
    channels_first : bool
        How to read ``[B, n, m]`` when the embedding does not tell.
    """
    width = embedded.shape[1] if embedded is not None else 0
    if tensor.dim() == 3:
        if width in tensor.shape[1:] and tensor.shape[1] != tensor.shape[2]:
            channels_first = tensor.shape[1] == width
        return (tensor.unsqueeze(2), 0) if channels_first else _tokens_as_map(tensor, embedded)
    if tensor.dim() == 4 and _channels_last(tensor.shape, width):
        return tensor.permute(0, 3, 1, 2), 0
    return (tensor if tensor.dim() == 4 else tensor.flatten(2, -2)), 0


def _channels_last(shape: torch.Size, width: int) -> bool:
    if (shape[1] == shape[2]) != (shape[2] == shape[3]):
        return shape[1] == shape[2]
    return shape[3] == width and shape[1] != width


def _tokens_as_map(tokens: Tensor, embedded: Tensor | None) -> tuple[Tensor, int]:
    dropped = _leading_tokens(tokens, embedded)
    tokens = tokens[:, dropped:]
    side = math.isqrt(tokens.shape[1])
    shape = (side, side) if side * side == tokens.shape[1] else (1, tokens.shape[1])
    return tokens.transpose(1, 2).unflatten(2, shape), dropped


def _leading_tokens(tokens: Tensor, embedded: Tensor | None) -> int:
    count = tokens.shape[1]
    extra = range(min(_EXTRA_TOKENS, count - 1) + 1)
    squares = [k for k in extra if math.isqrt(count - k) ** 2 == count - k]
    if embedded is not None and embedded.shape == tokens[:, 0].shape:
        if torch.equal(embedded, tokens[:, 0]):
            return next((k for k in squares if k > 0), 1)
        if torch.allclose(embedded, tokens.mean(1), rtol=1e-4, atol=1e-6):
            return 0
    return squares[0] if squares else 0


def stage_before(finder: FeatureFinder, final: Seen, steps: int) -> tuple[Seen, int]:
    """The map of an earlier stage.

    A stage ends where the resolution falls; its map is the last one at that resolution among the
    modules closest to the root, so that an inner layer of the next stage's first block is not
    taken for it; what changes its resolution only inside a block is not counted. A network of one
    resolution (a plain vision transformer) has one stage per block: the outputs of its longest,
    outermost sequence of numbered blocks.

    Parameters
    ----------
    steps : int
        1 for ``F[-2]``, 2 for ``F[-3]``, …

    Returns
    -------
    tuple of Seen and int
        The map and the number of stages there are.

    Raises
    ------
    IndexError
        When the network has fewer stages; its argument is the number of stages.
    """
    every = _until(finder.every, final)
    ladder: dict[int, Seen] = {}
    for seen in every:
        area = _area(seen.tensor)
        if any(finder.steady.get(name, area) != area for name in _holders(seen.name)):
            continue
        if area > _area(final.tensor) and seen.depth <= ladder.get(area, seen).depth:
            ladder[area] = seen
    stages = [ladder[area] for area in sorted(ladder)] or _blocks(every)[-2::-1]
    if steps > len(stages):
        raise IndexError(len(stages) + 1)
    return stages[steps - 1], len(stages) + 1


def _holders(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _until(every: list[Seen], final: Seen) -> list[Seen]:
    last = max((i for i, seen in enumerate(every) if seen.name == final.name), default=-1)
    return every[: last + 1] if last >= 0 else every


def _area(tensor: Tensor) -> int:
    found, _ = as_map(tensor, None, channels_first=False)
    return math.prod(found.shape[2:])


def _blocks(every: list[Seen]) -> list[Seen]:
    groups: dict[str, dict[str, Seen]] = {}
    for seen in every:
        parent, _, last = seen.name.rpartition(".")
        if last[-1:].isdigit():
            groups.setdefault(parent, {})[seen.name] = seen
    lists = [list(group.values()) for group in groups.values() if len(group) > 1]
    return min(lists, key=lambda blocks: (blocks[0].depth, -len(blocks)), default=[])
