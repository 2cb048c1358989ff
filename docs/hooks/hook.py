"""The hook of mkdocs: pages that stand elsewhere in the repository, and parts that are generated.

``<!-- made: NAME -->`` in a page is where a generated part goes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import command_line
import gallery
import results
import which
from listings import listings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parent.parent.parent

INCLUDED = {
    "architecture.md": "ARCHITECTURE.md",
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Pages of the site that are files elsewhere in the repository."""

_PAGES = {path: page for page, path in INCLUDED.items()}
_OUTSIDE = re.compile(r"\]\((?:\.\./)+(examples/[\w./-]*|[\w/]*[A-Z]+\.md)")
"""A link of a page to a file of the repository outside docs/."""


def _section(heading: str, path: str = "README.md") -> str:
    """What stands below a heading of a file of the repository."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    _, found, after = f"\n{text}".partition(f"\n{heading}\n")
    if not found:
        raise ValueError(f"{path} has no heading {heading}")
    level = heading.partition(" ")[0]
    lines: list[str] = []
    fenced = False
    for line in after.split("\n"):
        if not fenced and re.match(rf"#{{1,{len(level)}}} ", line):
            break
        fenced ^= line.startswith("```")
        lines.append(line)
    return _with_links("\n".join(lines).strip())


def _readme_intro() -> str:
    """The first paragraph."""
    return _section("# autodas-dsl").partition("\n\n")[0]


def _proposer() -> str:
    code = (REPOSITORY / "examples/my_proposer.py").read_text(encoding="utf-8")
    return f"```python\n{code.rstrip()}\n```"


MADE = {
    "commands": command_line.reference,
    "gallery": gallery.cards,
    "which": which.choices,
    "which-listed": which.without_halves,
    "readme-intro": _readme_intro,
    "readme-install": lambda: "## Install and run\n\n" + _section("## Install and run"),
    "readme-tour": lambda: "## A tour in a minute\n\n" + _section("## A tour in a minute"),
    "proposer": _proposer,
}
_MADE = re.compile(r"^<!-- made: ([\w-]+) -->$", re.M)
_FETCHED = re.compile(r'<(?:script|img|iframe|link)[^>]*?(?:src|href)="(https?://[^"]+)"')
_LINK = re.compile(r"\]\((?!https?:|#)(?:\.\./)*(?P<path>[\w./-]+)(?P<anchor>#[\w-]+)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page, path in INCLUDED.items():
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_with_links(text)))
    for path in sorted((REPOSITORY / "examples").rglob("*.*")):
        name = path.relative_to(REPOSITORY).as_posix()
        if "__pycache__" not in name:
            files.append(File.generated(config, name, abs_src_path=str(path)))
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
    return _OUTSIDE.sub(lambda match: f"]({up}{_PAGES.get(match[1], match[1])}", markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Nothing is fetched from elsewhere by a page that is read."""
    fetched = _FETCHED.search(output)
    if fetched:
        raise PluginError(f"{page.file.src_uri} would fetch {fetched[1]}")
    return output


def _with_links(text: str) -> str:
    """A file of the repository as a page at the top of the site."""

    def link(match: re.Match[str]) -> str:
        path = match["path"].removeprefix("docs/")
        return f"]({_PAGES.get(path, path)}{match['anchor'] or ''})"

    return _LINK.sub(link, text)
