"""Search strategies behind one interface; a new one is a file here and a line in `BY_NAME`."""

from __future__ import annotations

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.strategies.adaptive_elite import AdaptiveElite
from autodas_dsl.evolution.strategies.aging import Aging
from autodas_dsl.evolution.strategies.base import Maker, Population, Strategy, distinct
from autodas_dsl.evolution.strategies.nsga2 import Nsga2
from autodas_dsl.evolution.strategies.random_search import RandomSearch

BY_NAME: dict[str, type[AdaptiveElite] | type[Aging] | type[Nsga2] | type[RandomSearch]] = {
    "adaptive-elite": AdaptiveElite,
    "aging": Aging,
    "nsga2": Nsga2,
    "random": RandomSearch,
}


def strategy(config: Config) -> Strategy:
    """The strategy that a configuration names."""
    return BY_NAME[config.strategy](config)


__all__ = ["BY_NAME", "Maker", "Population", "Strategy", "distinct", "strategy"]
