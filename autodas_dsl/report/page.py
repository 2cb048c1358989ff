"""The report of a run: one self-contained page that opens anywhere and asks the network nothing."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from autodas_dsl import __version__
from autodas_dsl.evolution.run_folder import RunFolder, SavedRun
from autodas_dsl.language.files import write_atomic
from autodas_dsl.report.evidence import scatters, sensitivity
from autodas_dsl.report.findings import best, curve, front
from autodas_dsl.report.graph import keep_existing
from autodas_dsl.report.hall_of_fame import hall_of_fame
from autodas_dsl.report.html import Markup, tag
from autodas_dsl.report.repetition import repeat

PARTS = {
    "best": ("Best", best),
    "front": ("Pareto front", front),
    "curve": ("Search curve", curve),
    "scores": ("Scores", scatters),
    "sensitivity": ("Sensitivity", sensitivity),
    "hall": ("Hall of fame", hall_of_fame),
    "repeat": ("Repeat", repeat),
}


def write_report(run_folder: Path, out: Path, force: bool = False) -> None:
    """Write the report of a finished search.

    Parameters
    ----------
    run_folder : Path
        What ``evolve --run`` wrote.
    out : Path
        The HTML file.
    force : bool
        Replace a file that exists.

    Raises
    ------
    InputError
        E680 `out` exists; E640 to E643 as `RunFolder.read`.
    """
    folder = RunFolder(run_folder)
    folder.require()
    keep_existing(out, force)
    write_atomic(out, report(folder.read()))


def report(run: SavedRun) -> str:
    """The page of a run; the same run gives the same bytes."""
    style, script = _asset("page.css"), _asset("page.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{_title(run)} – search report"),
        tag("style", style),
    )
    body = tag(
        "body",
        tag("a", "Skip to the results", href="#results", class_="skip"),
        _header(run),
        _navigation(),
        tag("main", *(part(run) for _, part in PARTS.values()), id="results", tabindex=-1),
        tag("footer", tag("p", f"Written by autodas-dsl {__version__} from {run.folder.path.name}. "
                               "This page loads nothing from the network.")),
        tag("script", script),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}"


def _title(run: SavedRun) -> str:
    return ", ".join(used.name for used in run.tables)


def _header(run: SavedRun) -> Markup:
    targets = ", ".join(f"{used.name} ({used.target})" for used in run.tables)
    options = run.options
    return tag(
        "header",
        tag("h1", f"Search on {_title(run)}"),
        tag("p", f"{options.get('strategy', 'search')} search for a formula that ranks "
                 f"{targets}: {run.found.counts.evaluations} formulas evaluated, seed "
                 f"{options.get('seed', 0)}.", class_="lead"),
    )  # fmt: skip


def _navigation() -> Markup:
    links = [tag("li", tag("a", name, href=f"#{key}")) for key, (name, _) in PARTS.items()]
    return tag("nav", tag("ul", *links), aria_label="Sections")


def _asset(name: str) -> Markup:
    """A file of this package, to stand inside the page as it is."""
    return Markup(files("autodas_dsl.report").joinpath(name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    """Nothing may load or run but the style and script of the page itself."""
    sources = "; ".join(f"{kind}-src '{_digest(text)}'"
                        for kind, text in (("style", style), ("script", script)))  # fmt: skip
    return f"default-src 'none'; base-uri 'none'; form-action 'none'; {sources}"


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(raw).decode('ascii')}"
