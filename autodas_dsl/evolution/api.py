"""`autodas_dsl.evolve`: a search in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import torch

from autodas_dsl.data.samples import Samples
from autodas_dsl.evolution.config import BASELINES, Config
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.run import SILENT
from autodas_dsl.evolution.session import BUILTIN, search
from autodas_dsl.evolution.watch import Progress, Watch
from autodas_dsl.execution.executors import executor_of
from autodas_dsl.scoring.setting import Data, Teacher, data_from, teacher_from
from autodas_dsl.tables.table import Table

AnyTable = str | Path | Table


def _is_listed(data: object) -> TypeGuard[list[str | Data]]:
    return isinstance(data, list) and all(isinstance(one, str | Data) for one in data)


def evolve(
    table: AnyTable | Sequence[AnyTable] = BUILTIN,
    *,
    target: str | None = None,
    space: str | None = None,
    data: str | Data | Samples | list[str | Data] | None = None,
    teacher: str | Teacher | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    split: str = "half",
    baselines: Sequence[str] = BASELINES,
    workers: int | str = 1,
    executor: Any = None,
    screening: bool = False,
    null_repeats: int = 0,
    run: str | Path | None = None,
    resume: bool = False,
    max_time: float | None = None,
    stop_at: float = 0.0,
    progress: Callable[[Progress], None] | None = None,
    **choices: Any,
) -> Run:
    """Search for a formula that ranks the architectures of one or more tables.

    Parameters
    ----------
    table : str, Path, Table or a sequence of them
        Built-in names, CSV files or tables; several are searched at once.
    target : str, optional
        Column of accuracies.
    space : str, optional
        Space of a table that does not say its own.
    data, teacher : optional
        As on the command line; by default what the space is usually scored with. `data` may be
        samples at hand, as in `score`, or a list of sources, one for each of several tables.
    dtype : torch.dtype
        Of the passes and of the formulas.
    device : str
        Where networks run and formulas are computed.
    split : str
        ``half``, or ``K/N``: architectures to select on and to report on.
    baselines : sequence of str
        Formulas reported beside the best one.
    workers : int or str
        Processes that evaluate, or ``"ray"``; the result does not depend on it.
    executor : optional
        Evaluates instead: an `Executor`, or one of somebody else, see `execution.futures`.
    screening : bool
        Look at formulas on a few architectures and a sample of their statistics first.
    null_repeats : int
        Searches on shuffled accuracies that estimate `Run.null`.
    run : str or Path, optional
        Run folder; nothing is written without it.
    resume : bool
        Continue the run of that folder; more ``iterations`` than it had extend it.
    max_time : float, optional
        Seconds after which the search stops at the end of a generation.
    stop_at : float
        Stop at this tau; 0: never.
    progress : callable, optional
        Told after every generation.
    **choices
        Other fields of `evolution.config.Config`: ``iterations``, ``population``, ``strategy``, ``seed``,
        ``objective``, ``terms``, ``inputs``, ``operators``, ``seeds``, …

    Returns
    -------
    Run
        With ``best``, ``hall_of_fame``, ``pareto``, ``steps`` and ``null``.

    Raises
    ------
    InputError

    Examples
    --------
    >>> found = evolve("digits-resnet", iterations=10)  # doctest: +SKIP
    >>> print(found.best)  # doctest: +SKIP
    """
    tables = [table] if isinstance(table, str | Path | Table) else list(table)
    config = Config(
        target=target,
        space=space,
        data=() if data is None else tuple(map(data_from, data if _is_listed(data) else [data])),
        teacher=teacher_from(teacher),
        dtype=str(dtype).removeprefix("torch."),
        device=device,
        split=split,
        baselines=tuple(baselines),
        screening=screening,
        null_repeats=null_repeats,
        max_time=max_time,
        stop_at=stop_at,
        **choices,
    )
    folder = Path(run) if run is not None else None
    watch = Watch(progress) if progress else SILENT
    found = search(
        tables, config, executor=executor_of(workers, executor), folder=folder, resume=resume,
        watch=watch,
    )  # fmt: skip
    return found.run
