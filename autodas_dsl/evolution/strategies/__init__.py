"""Search strategies behind one interface; a new one is a file here and a line in `STRATEGIES`."""

from __future__ import annotations

from pkgutil import resolve_name

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.strategies.base import Maker, Population, Strategy, distinct
from autodas_dsl.evolution.strategies.own import Own
from autodas_dsl.language.searchers import OWN_STRATEGIES, STRATEGIES


def strategy(config: Config) -> Strategy:
    """The strategy that a configuration names, of this package or a user's own."""
    if config.strategy in OWN_STRATEGIES:
        return Own(config)
    found: Strategy = resolve_name(f"{__name__}.{STRATEGIES[config.strategy]}")(config)
    return found


__all__ = ["Maker", "Population", "Strategy", "distinct", "strategy"]
