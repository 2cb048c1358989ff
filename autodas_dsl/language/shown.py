"""Results that show themselves: as a table in a notebook, as a frame, as a figure."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from autodas_dsl.language.foreign import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DISPLAY = "autodas_dsl.report.display"
"""What knows how results look; loaded when one is shown."""


class Shown:
    """A result that a notebook shows as a table."""

    __slots__ = ()

    def to_pandas(self) -> Any:
        """The rows of the result as a pandas frame, every number in full.

        Raises
        ------
        InputError
            E405 without pandas.
        """
        rows = resolve_name(f"{_DISPLAY}:sheet")(self).rows
        return require("pandas", "pandas", "pandas", "to_pandas").DataFrame(rows)

    def plot(self) -> Figure:
        """The result as a matplotlib figure, which a notebook shows."""
        figure: Figure = resolve_name(f"{_DISPLAY}:figure")(self)
        return figure

    def _repr_html_(self) -> str:
        text: str = resolve_name(f"{_DISPLAY}:html")(self)
        return text
