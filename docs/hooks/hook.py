"""The hook of mkdocs: pages that stand elsewhere in the repository, and parts that are generated.

``<!-- made: NAME -->`` in a page is where a generated part goes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gallery
import results
import which
from listings import listings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parent.parent.parent

INCLUDED = {
    "architecture.md": "ARCHITECTURE.md",
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Pages of the site that are files elsewhere in the repository."""


def _section(heading: str, path: str = "README.md") -> str:
    """What stands below a heading of a file of the repository."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    _, found, after = f"\n{text}".partition(f"\n{heading}\n")
    if not found:
        raise ValueError(f"{path} has no heading {heading}")
    level = heading.partition(" ")[0]
    return _with_links(re.split(rf"^#{{1,{len(level)}}} ", after, flags=re.M)[0].strip())


def _readme_intro() -> str:
    """The first paragraph."""
    return _section("# autodas-dsl").partition("\n\n")[0]


def _strategy() -> str:
    code = (REPOSITORY / "autodas_dsl/evolution/strategies/aging.py").read_text(encoding="utf-8")
    return f"```python\n{code[code.index('class ') :].rstrip()}\n```"


MADE = {
    "gallery": gallery.cards,
    "which": which.choices,
    "which-listed": which.without_halves,
    "readme-intro": _readme_intro,
    "readme-install": lambda: "## Install and run\n\n" + _section("## Install and run"),
    "readme-tour": lambda: "## A tour in a minute\n\n" + _section("## A tour in a minute"),
    "strategy": _strategy,
}
_MADE = re.compile(r"^<!-- made: ([\w-]+) -->$", re.M)
_LINK = re.compile(r"\]\((?!https?:|#)(?:\.\./)*(?P<path>[\w./-]+)(?P<anchor>#[\w-]+)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page, path in INCLUDED.items():
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_with_links(text)))
    for path in sorted((REPOSITORY / "examples").iterdir()):
        if path.is_file():
            files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    for number, listing in enumerate(listings()):
        name = results.csv_name(number, listing)
        files.append(File.generated(config, name, content=results.as_csv(listing)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Generated parts in their places; links to files outside docs/ to their copies in the site."""
    path = page.file.src_uri
    if path == "results.md":
        markdown = results.page(markdown)
    markdown = _MADE.sub(lambda match: MADE[match[1]](), markdown)
    up = "../" * path.count("/")
    return re.sub(r"\]\((?:\.\./)+examples/", f"]({up}examples/", markdown)


def _with_links(text: str) -> str:
    """A file of the repository as a page at the top of the site."""
    pages = {path: page for page, path in INCLUDED.items()}

    def link(match: re.Match[str]) -> str:
        path = match["path"].removeprefix("docs/")
        return f"]({pages.get(path, path)}{match['anchor'] or ''})"

    return _LINK.sub(link, text)
