"""Hints: the student's feature map, through a learnt 1x1 convolution, as near as possible to the
teacher's (Romero et al., FitNets, ICLR 2015, Eq. 3; trained together with the other losses, as Tian
et al., ICLR 2020, do)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.training.criterion import Criterion, Seen

_OWN, _WANTED = Statistic("F_s"), Statistic("F_t")


class Learnt(Criterion):
    """Mean squared error of the teacher's map and the student's, brought to its channels.

    The maps ``[B, C, H, W]`` must have the same height and width: they are not resampled.
    """

    statistics = (_OWN, _WANTED)
    named = "hints"

    def meet(self, student: Seen, teacher: Seen, examples: int | None) -> None:
        """As `Criterion.meet`.

        Raises
        ------
        InputError
            E747, when the maps differ in height or width.
        """
        own, wanted = student[_OWN], teacher[_WANTED]
        if own.shape[2:] != wanted.shape[2:]:
            sizes = ["x".join(map(str, one.shape[2:])) for one in (own, wanted)]
            raise InputError(
                "E747",
                f"the hint layer of the student gives maps of {sizes[0]}, the teacher's {sizes[1]}",
                "name two layers of one resolution: --hint-layers STUDENT,TEACHER",
            )
        self.regressor = nn.Conv2d(
            own.shape[1], wanted.shape[1], 1, device=own.device, dtype=own.dtype
        )

    def forward(self, student: Seen, teacher: Seen, rows: Tensor | None = None) -> Tensor:
        found: Tensor = self.regressor(student[_OWN])
        return F.mse_loss(found, teacher[_WANTED].to(found.dtype))
