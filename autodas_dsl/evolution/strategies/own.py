"""A strategy from a user's file, which `--with` names: what it raises becomes a diagnostic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.strategies.base import Maker, Population, Strategy
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.language.searchers import OWN_STRATEGIES
from autodas_dsl.language.tree import Expr


class Own(Strategy):
    """The strategy of this name in a user's file.

    Raises
    ------
    InputError
        E635 when it fails, or gives something else than formulas and individuals.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        with foreign(self._failed):
            self._strategy = OWN_STRATEGIES[config.strategy].make(config)

    def propose(self, population: Population, make: Maker) -> list[Expr]:
        with foreign(self._failed):
            found = list(self._strategy.propose(population, make))
        if not found or not all(isinstance(one, get_args(Expr)) for one in found):
            raise self._wrong("proposes something else than formulas")
        return found

    def select(self, population: Population, offspring: Sequence[Individual]) -> Population:
        with foreign(self._failed):
            found = list(self._strategy.select(population, offspring))
        if not all(isinstance(one, Individual) and one.valid for one in found):
            raise self._wrong("selects something else than individuals that can be ranked")
        return found

    def _failed(self, error: BaseException) -> InputError:
        return self._wrong(f"fails: {one_line(error)}")

    def _wrong(self, what: str) -> InputError:
        return InputError(
            "E635",
            f"the strategy `{self.config.strategy}` {what}",
            "compare it with examples/my_proposer.py",
        )
