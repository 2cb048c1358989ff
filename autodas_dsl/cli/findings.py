"""What ``check`` found, for programs: JSON, SARIF 2.1.0, workflow commands of GitHub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from autodas_dsl import __version__
from autodas_dsl.editing.fixes import Edit, edit_of
from autodas_dsl.language.error_pages import error_page
from autodas_dsl.language.errors import Diagnostic
from autodas_dsl.language.spans import Source, Span
from autodas_dsl.language.visible import json_text, visible

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY_ESCAPES = {**_ESCAPES, ":": "%3A", ",": "%2C"}


@dataclass
class Report:
    """What the checker found out about one formula; `is_file` where it stands in one."""

    name: str
    source: Source | None = None
    diagnostics: Sequence[Diagnostic] = ()
    inputs: Sequence[str] = ()
    requirements: list[str] = field(default_factory=list)
    is_file: bool = False

    @property
    def wrong(self) -> bool:
        return any(found.severity == "error" for found in self.diagnostics)

    @property
    def text(self) -> Source:
        return self.source or Source(self.name, "")


def as_json(reports: Sequence[Report]) -> str:
    """One list of diagnostics, each with its fix where there is one."""
    return json_text([
        {**found.as_dict(report.text), **_fix(found, report.text)}
        for report in reports
        for found in report.diagnostics
    ])  # fmt: skip


def _fix(found: Diagnostic, source: Source) -> dict[str, object]:
    edit = edit_of(found, source.text)
    if edit is None:
        return {}
    line, column = source.position(edit.span.start)
    end_line, end_column = source.position(edit.span.end)
    return {"fix": {
        "applicability": "safe" if edit.sure else "unsafe", "text": edit.text, "line": line,
        "column": column, "end_line": end_line, "end_column": end_column,
    }}  # fmt: skip


# --- SARIF ----------------------------------------------------------------------------------------


def as_sarif(reports: Sequence[Report]) -> str:
    """One run, in the Static Analysis Results Interchange Format, version 2.1.0."""
    found = [(report, one) for report in reports for one in report.diagnostics]
    codes = sorted({one.code for _, one in found})
    rules = [{"id": code, "shortDescription": {"text": error_page(code).title}} for code in codes]
    driver = {"name": "autodas-dsl", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, one, codes.index(one.code)) for report, one in found],
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _result(report: Report, found: Diagnostic, rule: int) -> dict[str, object]:
    place: dict[str, object] = {"artifactLocation": _artifact(report)}
    if found.span is not None:
        place["region"] = _region(report.text, found.span)
    result: dict[str, object] = {
        "ruleId": found.code, "ruleIndex": rule, "level": found.severity,
        "message": {"text": _told(found)}, "locations": [{"physicalLocation": place}],
    }  # fmt: skip
    edit = edit_of(found, report.text.text)
    if edit is not None:
        result["fixes"] = [_sarif_fix(report, edit)]
    return result


def _sarif_fix(report: Report, edit: Edit) -> dict[str, object]:
    replacement = {
        "deletedRegion": _region(report.text, edit.span), "insertedContent": {"text": edit.text},
    }  # fmt: skip
    change = {"artifactLocation": _artifact(report), "replacements": [replacement]}
    return {"description": {"text": edit.title}, "artifactChanges": [change]}


def _artifact(report: Report) -> dict[str, str]:
    path = Path(report.name)
    if report.is_file and path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix() if report.is_file else report.text.name)}


def _region(source: Source, span: Span) -> dict[str, int]:
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


# --- GitHub ---------------------------------------------------------------------------------------


def as_github(reports: Sequence[Report]) -> str:
    """A workflow command for each diagnostic, a line each."""
    return "\n".join(_command(report, one) for report in reports for one in report.diagnostics)


def _command(report: Report, found: Diagnostic) -> str:
    properties: dict[str, object] = {"file": report.name} if report.is_file else {}
    if found.span is not None:
        properties["line"], properties["col"] = report.text.position(found.span.start)
    properties["title"] = found.code
    told = ",".join(f"{k}={_escaped(str(v), _PROPERTY_ESCAPES)}" for k, v in properties.items())
    return f"::{found.severity} {told}::{_escaped(_told(found), _ESCAPES)}"


def _told(found: Diagnostic) -> str:
    return "\n".join(visible(text) for text in (found.message, found.help) if text)


def _escaped(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(char, char) for char in text)


FORMATS: Mapping[str, Callable[[Sequence[Report]], str]] = {
    "json": as_json, "sarif": as_sarif, "github": as_github,
}  # fmt: skip
"""How diagnostics are printed for programs."""
