"""What a person sees of a search: the screen of a terminal, made of what is written to it."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from autodas_dsl.evolution.evaluator import Counts
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.watch import Progress
from autodas_dsl.language.parse import parse
from autodas_dsl.report.live import STOPPING, Phases

WIDTH = 80


class Screen(io.StringIO):
    """A terminal that understands what rich writes: moves up, erased lines, line ends."""

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.|\n", self.getvalue(), re.DOTALL):
            if part == "\n":
                row, column = row + 1, 0
                rows += [""] * (row == len(rows))
            elif part == "\r":
                column = 0
            elif not part.startswith("\x1b"):
                if column == WIDTH:
                    row, column = row + 1, 0
                    rows += [""] * (row == len(rows))
                rows[row] = rows[row][:column].ljust(column) + part + rows[row][column + 1 :]
                column += 1
            elif part.endswith("A"):
                row -= int(part[2:-1] or 1)
            elif part == "\x1b[2K":
                rows[row] = ""
        return [line.rstrip() for line in rows]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm-256color")
    return Screen()


def phases_on(screen: Screen) -> Phases:
    return Phases(Console(file=screen, force_terminal=True, width=WIDTH, height=30))


def progress(generation: int, formula: str = "sum(|W|_F)") -> Progress:
    best = Individual(parse(formula), formula, 4, 0, 0.75, 0.7, 1)
    return Progress(generation, 10, Counts(20 + generation), best, 0)


def refreshed(phases: Phases, screen: Screen) -> list[str]:
    phases._live.refresh()
    return [line for line in screen.lines if line]


def test_every_phase_has_one_line_that_stays(screen: Screen) -> None:
    phases = phases_on(screen)
    with phases.shown():
        phases.phase("collecting statistics", 3)
        for done in (1, 2, 3):
            phases.reached(done)
            refreshed(phases, screen)
        phases.phase("searching", 10)
        phases.generation(progress(4))
        seen = refreshed(phases, screen)
        assert [line.split("  ")[0] for line in seen[2:]] == ["best", "tau", "formulas"]
        assert "sum(|W|_F)" in seen[2]
        phases.generation(progress(10))
        phases.phase("simplifying")
        refreshed(phases, screen)
        phases.phase("null searches", 22)
        phases.reached(11)
        assert "11/22" in refreshed(phases, screen)[-1]
        phases.reached(22)
    *lines, last = screen.lines
    assert last == "", "the result begins on a line of its own"
    counts = [re.sub(r"[━╸╺ ]+", " ", line) for line in lines if line]
    assert [re.sub(r" \d:\d\d:\d\d$", "", line) for line in counts] == [
        "collecting statistics 3/3", "searching 10/10", "simplifying", "null searches 22/22"
    ]  # fmt: skip
    assert "-:--" not in "".join(lines)


def test_ctrl_c_is_answered_and_its_echo_spoils_nothing(screen: Screen) -> None:
    phases = phases_on(screen)
    with phases.shown():
        phases.phase("searching", 10)
        phases.generation(progress(4, " + ".join(["sum(|W|_F)"] * 12)))  # as wide as the terminal
        refreshed(phases, screen)
        screen.write("^C")
        phases.stopping()
        assert refreshed(phases, screen)[-1] == STOPPING
        phases.generation(progress(5))
    left = [line for line in screen.lines if line]
    assert len(left) == 1
    assert "5/10" in left[0]


def interrupted(phases: Phases) -> None:
    with phases.shown():
        phases.phase("collecting statistics", 4)
        phases.reached(1)
        phases.phase("simplifying")
        raise KeyboardInterrupt


def test_a_phase_that_was_cut_short_is_not_shown_as_done(screen: Screen) -> None:
    phases = phases_on(screen)
    with pytest.raises(KeyboardInterrupt):
        interrupted(phases)
    first, second = [line for line in screen.lines if line]
    assert "1/4" in first
    assert second.startswith("simplifying")
