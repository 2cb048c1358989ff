"""The functions most users call: plain arguments in, results out.

The rooms below do the work and take its parts apart: `scoring.score` and
`evaluation.rank`; `evolve` and `distill` stand in their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autodas_dsl.data.samples import Samples
from autodas_dsl.evaluation import rank as ranking
from autodas_dsl.execution.executors import executor_of
from autodas_dsl.language.library import load
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.models.load import load_models
from autodas_dsl.models.source import ModelSource, given_source
from autodas_dsl.scoring import score as scoring
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.setting import data_from, teacher_from, usual_setting
from autodas_dsl.scoring.table import table_and_space
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.collect import classes_of
from autodas_dsl.tables.table import Table

Model = str | nn.Module
Formula = str | Proxy


def score(
    models: Model | Sequence[Model] | Mapping[str, nn.Module],
    proxies: Formula | Sequence[Formula],
    *,
    teacher: Model | None = None,
    data: str | Samples | None = None,
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float32,
    seeds: int = 1,
    seed: int = 0,
) -> scoring.Result:
    """Score and rank networks.

    Parameters
    ----------
    models : str, nn.Module, sequence of them, or dict of name to nn.Module
        A text is what the command line takes: ``FILE.py``, ``cifar-resnet:3-3-3``, ``hf:NAME``, ….
        A network is left exactly as it was found.
    proxies : str, Proxy, or sequence of them
        Library names, files or expressions. Those that fit none of the networks are listed in
        `Result.unscored`; when that is all of them, it is an error.
    teacher : str or nn.Module, optional
    data : str, (inputs, labels), Dataset or DataLoader, optional
        As ``--data``, or samples at hand: tensors or arrays with whole-number labels, or what
        torch reads them from; inputs alone get random labels. Without it noise and random labels.
    batch_size : int, optional
        Samples to take; by default 64, of tensors and arrays all.

    Raises
    ------
    InputError

    Examples
    --------
    >>> from autodas_dsl import score
    >>> result = score(["cifar-resnet:1-1-1", "cifar-resnet:3-3-3"], "params")
    >>> [(row.model, row.rank) for row in result.scores]
    [('cifar-resnet:3-3-3', 1), ('cifar-resnet:1-1-1', 2)]
    """
    sources = _sources(models)
    samples = data_from(data, size=batch_size, classes_for=lambda x: _classes(sources, x.shape[1:]))
    return scoring.score(
        sources, _proxies(proxies), teacher=teacher_from(teacher), data=samples, dtype=dtype,
        seeds=seeds, seed=seed,
    )  # fmt: skip


def rank(
    table: str | Path | Table,
    proxies: Formula | Sequence[Formula],
    *,
    space: str | Space[Any] | None = None,
    target: str | None = None,
    teacher: Model | None = None,
    data: str | Samples | None = None,
    batch_size: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    limit: int | None = None,
    split: str | None = None,
    workers: int | str = 1,
    executor: Any = None,
) -> ranking.Ranking:
    """Rank the architectures of a table and correlate with their accuracies.

    Scores are stored in the user's cache folder: a second call is served from there.

    Parameters
    ----------
    table : str, Path or Table
        A built-in name, a CSV file or a table.
    space : str or Space, optional
        Where the table does not say.
    data : str, (inputs, labels), Dataset or DataLoader, optional
        As in `score`; by default what the space is usually scored on.
    workers : int or str
        Processes that score, or ``"ray"``; the scores do not depend on it.
    executor : optional
        Scores instead, as in `evolve`.

    Raises
    ------
    InputError
    """
    loaded, family = table_and_space(table, space)
    samples = data_from(data, family.data, batch_size, lambda _: family.classes)
    setting = usual_setting(family, samples, teacher_from(teacher))
    with ScoreBook() as book:
        return ranking.rank(
            loaded, family, _proxies(proxies), target=target, setting=setting,
            seeds=seeds, seed=seed, limit=limit, split=split, book=book,
            executor=executor_of(workers, executor),
        )  # fmt: skip


def _proxies(given: Formula | Sequence[Formula]) -> list[Proxy]:
    many = [given] if isinstance(given, str | Proxy) else given
    return [load(one) if isinstance(one, str) else one for one in many]


def _sources(given: Model | Sequence[Model] | Mapping[str, nn.Module]) -> list[ModelSource]:
    if isinstance(given, Mapping):
        return [given_source(network, name) for name, network in given.items()]
    many = [given] if isinstance(given, str | nn.Module) else given
    return [source for one in many for source in _source(one)]


def _source(given: Model) -> tuple[ModelSource, ...]:
    return load_models(given) if isinstance(given, str) else (given_source(given),)


def _classes(models: Sequence[ModelSource], input_shape: Sequence[int]) -> int:
    """Classes that all of the networks tell apart."""
    return min(one.classes or classes_of(one.build(), input_shape) for one in models)
