"""A proposer of your own: text in, text out. Use it with

    autodas-dsl evolve --with examples/my_proposer.py --proposer norms

A language model has its place here too: put `state` into its prompt, return the lines it writes.
Texts that do not check cost nothing; `state.answers` says next time what was wrong with them.
"""

from autodas_dsl.language.extend import OwnStrategy, Proposer


def norms(state):
    """Norms of the statistics, then products of norms that did well."""
    norm = state.random.choice(["|{}|_F", "|{}|_1", "log(|{}|_F)"])
    terms = [f"mean({norm.format(name)})" for name in state.statistics]
    terms += [formula for formula, tau in state.archive[:5] if tau > 0.5]
    return [" * ".join(state.random.sample(terms, 2)) for _ in range(state.wanted)]


class Greedy:
    """Mutations of the best formula, always of the best."""

    def __init__(self, config):
        self.config = config

    def propose(self, population, make):
        parents = population[:1]
        slots = range(2 * self.config.brood)
        return [make.child(slot, parents) if parents else make.fresh(slot) for slot in slots]

    def select(self, population, offspring):
        valid = {one.ranks: one for one in [*offspring, *population] if one.valid}
        return sorted(valid.values(), key=lambda one: one.order)[: self.config.population]


proposer = Proposer("norms", norms, "Products of norms of the statistics.")
greedy = OwnStrategy("greedy", Greedy, "Mutations of the best formula.")
