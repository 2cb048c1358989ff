"""CRD: student and teacher agree which embeddings are of one example (Tian et al., Contrastive
Representation Distillation, ICLR 2020, Eqs. 17-19 and section 3.2)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.training.criterion import Criterion, Seen

_OWN, _WANTED = Statistic("E_s"), Statistic("E_t")
WIDTH = 128
NEGATIVES = 16_384
MOMENTUM = 0.5
TEMPERATURE = 0.07


class Learnt(Criterion):
    """Noise-contrastive estimation against memories of all examples, in both directions.

    Embeddings ``[B, D]`` are mapped to the unit sphere in `WIDTH` dimensions by a learnt linear
    layer each; a moving average of what it gave for each example is remembered, and each example
    is told from `NEGATIVES` others (or as many as there are) that are drawn at random.
    """

    statistics = (_OWN, _WANTED)
    named = "crd"
    remembered: Tensor
    scales: Tensor

    def meet(self, student: Seen, teacher: Seen, examples: int | None) -> None:
        """As `Criterion.meet`.

        Raises
        ------
        InputError
            E749, when the examples have no numbers.
        """
        if examples is None:
            raise InputError(
                "E749", "crd remembers each example, and those of a stream have no number",
                "give tensors, or take another loss",
            )  # fmt: skip
        own, wanted = student[_OWN], teacher[_WANTED]
        self.own = nn.Linear(own.shape[1], WIDTH, device=own.device)
        self.wanted = nn.Linear(wanted.shape[1], WIDTH, device=own.device)
        reach = 1 / math.sqrt(WIDTH / 3)
        start = torch.empty(2, examples, WIDTH, device=own.device).uniform_(-reach, reach)
        self.register_buffer("remembered", start)
        self.register_buffer("scales", torch.zeros(2, device=own.device))

    def forward(self, student: Seen, teacher: Seen, rows: Tensor | None = None) -> Tensor:
        assert rows is not None, "streams are refused by `meet`"
        rows = rows.to(self.remembered.device)
        both = (
            F.normalize(self.own(student[_OWN].float()), dim=1),
            F.normalize(self.wanted(teacher[_WANTED].float()), dim=1),
        )
        count = self.remembered.shape[1]
        drawn = torch.randint(count, (len(rows), min(NEGATIVES, count - 1)), device=rows.device)
        chosen = torch.cat([rows[:, None], drawn], 1)
        # each side is compared with what is remembered of the other
        found = sum(self._told_apart(side, both[side], chosen) for side in (0, 1))
        self._remember(both, rows)
        assert isinstance(found, Tensor)
        return found

    def _told_apart(self, side: int, embedded: Tensor, chosen: Tensor) -> Tensor:
        count, negatives = self.remembered.shape[1], chosen.shape[1] - 1
        others = self.remembered[1 - side][chosen].clone()
        raw = ((others @ embedded[:, :, None]).squeeze(2) / TEMPERATURE).exp()
        if self.scales[side] == 0:  # of the first batch, kept
            self.scales[side] = raw.detach().mean() * count
        likely = raw / self.scales[side].clone()
        noise = negatives / count
        first, rest = likely[:, 0], likely[:, 1:]
        right = (first / (first + noise + 1e-7)).log()
        wrong = (noise / (rest + noise + 1e-7)).log().sum(1)
        return -(right + wrong).mean()

    @torch.no_grad()
    def _remember(self, both: tuple[Tensor, Tensor], rows: Tensor) -> None:
        for memory, new in zip(self.remembered, both, strict=True):
            mixed = MOMENTUM * memory[rows] + (1 - MOMENTUM) * new
            memory[rows] = F.normalize(mixed, dim=1)
