"""Search strategies behind one interface; a new one is a file here and a line in `BY_NAME`."""

from __future__ import annotations

from collections.abc import Callable

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.strategies.adaptive_elite import AdaptiveElite
from autodas_dsl.evolution.strategies.aging import Aging
from autodas_dsl.evolution.strategies.base import Maker, Population, Strategy, distinct
from autodas_dsl.evolution.strategies.nsga2 import Nsga2
from autodas_dsl.evolution.strategies.own import Own
from autodas_dsl.evolution.strategies.random_search import RandomSearch

BY_NAME: dict[str, Callable[[Config], Strategy]] = {
    "adaptive-elite": AdaptiveElite,
    "aging": Aging,
    "nsga2": Nsga2,
    "random": RandomSearch,
}


def strategy(config: Config) -> Strategy:
    """The strategy that a configuration names, of this package or a user's own."""
    return BY_NAME.get(config.strategy, Own)(config)


__all__ = ["BY_NAME", "Maker", "Population", "Strategy", "distinct", "strategy"]
