"""What a user's function proposes: texts, of which the checker makes formulas or answers.

The journal keeps the texts, so that a function that never says the same twice, such as a language
model, is asked once: a resumed search reads what it said.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import is_populated
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.identity import written_out
from autodas_dsl.evolution.journal import Journal, Memory
from autodas_dsl.evolution.vary import Varier
from autodas_dsl.evolution.vocabulary import Vocabulary
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import Formula, Proxy
from autodas_dsl.language.searchers import PROPOSERS, Answer, SearchState
from autodas_dsl.language.tree import Expr, complexity

_TOLD = 100
_SEEDS = 2**63


class Proposals:
    """Asks the proposer that a configuration names; without one there are no proposals.

    Parameters
    ----------
    config : Config
    vocabulary : Vocabulary
    varier : Varier
    evaluator : FitnessEvaluator
    """

    def __init__(
        self, config: Config, vocabulary: Vocabulary, varier: Varier, evaluator: FitnessEvaluator
    ) -> None:
        self._config, self._vocabulary = config, vocabulary
        self._varier, self._evaluator = varier, evaluator
        self._proposer = PROPOSERS.get(config.proposer)
        self._texts = Memory()
        self._last: list[tuple[str, Expr | str]] = []

    def keep(self, journal: Journal) -> None:
        """Take known texts from a journal from now on, and write new ones to it."""
        self._texts = journal

    def ask(self, generation: int, wanted: int) -> list[Expr]:
        """The formulas of a generation, at most so many; fewer where the checker refused some.

        Raises
        ------
        InputError
            E634 when the function fails, or gives something else than texts.
        """
        if self._proposer is None:
            return []
        key = (self._proposer.name, generation)
        if key not in self._texts.proposals:
            texts = self._asked(self._state(generation, wanted))
            self._texts.propose(key, texts[:wanted])
        self._last = []
        for text in self._texts.proposals[key]:
            self._last.append((text, self._read(text)))
        return [found for _, found in self._last if not isinstance(found, str)]

    def _state(self, generation: int, wanted: int) -> SearchState:
        stream = Stream(self._config.seed, generation, 0, Purpose.PROPOSE)
        return SearchState(
            generation, wanted, tuple(map(str, self._vocabulary.statistics)),
            self._vocabulary.operators, self._config.max_complexity,
            tuple(
                (format_expression(one.formula), one.tau)
                for one in self._evaluator.rankable[:_TOLD]
            ),
            tuple(self._answer(text, found) for text, found in self._last),
            random.Random(stream.below(_SEEDS)),
        )  # fmt: skip

    def _answer(self, text: str, found: Expr | str) -> Answer:
        if isinstance(found, str):
            return Answer(text, reason=found)
        individual = self._evaluator.found(found)
        if individual is None or not individual.valid:
            return Answer(text, reason=individual.reason if individual else "not evaluated")
        return Answer(text, individual.tau)

    def _asked(self, state: SearchState) -> list[str]:
        name = self._config.proposer
        with foreign(lambda error: _wrong(name, f"fails: {one_line(error)}")):
            found = PROPOSERS[name].propose(state)
        whole = isinstance(found, Sequence) and not isinstance(found, str)
        if not whole or not all(isinstance(text, str) for text in found):
            raise _wrong(name, "does not give a list of texts")
        return list(found)

    def _read(self, text: str) -> Expr | str:
        """The formula of a text, or why it is none for this search."""
        try:
            proxy = Proxy("proposal", Formula("score", parse(text)))
            typed, expr = proxy.typed(), written_out(proxy)
        except InputError as error:
            found = error.diagnostics[0]
            return f"{found.code}: {found.message}" + (f"; {found.help}" if found.help else "")
        if is_populated(to_ir(expr)):
            return "it sees a population, a search scores one network at a time"
        others = typed.statistics - set(self._vocabulary.statistics)
        if others:
            return f"{min(map(str, others))} is no statistic of this search"
        unmet = [need for need in typed.requirements if not self._vocabulary.allowed(need)]
        if unmet:
            return f"it requires {unmet[0]}, which does not hold for all networks"
        settled = self._varier.settled(expr)
        if settled is None:
            nodes = complexity(expr)
            if nodes > self._config.max_complexity:
                return f"it has {nodes} nodes, of at most {self._config.max_complexity}"
            return "it is a longer way to write another formula, or the same for every network"
        if self._evaluator.knows(settled):
            return "this formula was looked at before"
        return settled


def _wrong(name: str, what: str) -> InputError:
    return InputError(
        "E634", f"the proposer `{name}` {what}",
        "what was evaluated is kept: mend it, then start another run",
    )  # fmt: skip
