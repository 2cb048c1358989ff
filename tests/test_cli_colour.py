"""Colour on a terminal, and the same bytes as ever in a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run

from autodas_dsl.cli import colour
from autodas_dsl.cli.show import FORMS

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    path = tmp_path / "untidy.proxy"
    path.write_text("proxy/1 untidy\nscore=mean(|W|_F)  # é [bold]x[/bold]\n", encoding="utf-8")
    return path


def commands(untidy: Path) -> list[tuple[str, ...]]:
    return [
        ("check", "mean(softmx(F_s)) + |grad W|_F", "rho_cnn", "/nowhere/best.proxy"),
        ("check", "0 * mean(mean(W))", str(untidy)),
        ("show", "--list"),
        ("show", "--list", "--as", "json"),
        ("show", "diswot"),
        ("show", str(untidy)),
        *(("show", "rho_cnn", "--as", form) for form in FORMS),
        ("fmt", "--diff", str(untidy)),
    ]


def test_colour_changes_no_letter(untidy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in commands(untidy):
        plain = run(*words).stdout
        assert "\x1b" not in plain
        with monkeypatch.context() as patched:
            patched.setattr(colour, "is_wanted", lambda: True)
            coloured = run(*words).stdout
        assert ("\x1b" in coloured) == (words[-1] != "tree"), words
        assert ESCAPE.sub("", coloured) == plain, words


def test_what_is_wrong_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour, "is_wanted", lambda: True)
    text = run("check", "mean(softmx(F_s))").stdout
    assert "\x1b[1;31merror[E202]\x1b[0m" in text
    assert "\x1b[1;31m^^^^^^\x1b[0m" in text
    assert "\x1b[32m: ok" not in text


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    terminal: bool, environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colour.is_wanted() == wanted


def test_a_pipe_loads_no_colours() -> None:
    script = (
        "import sys; from autodas_dsl.cli.entry import cli\n"
        "for words in (['check', 'snip'], ['show', 'snip'], ['show', '--list']):\n"
        "    cli.main(words, standalone_mode=False)\n"
        "print([name for name in ('rich', 'pygments', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix")
@pytest.mark.parametrize("words", [("check", "snip"), ("show", "snip"), ("show", "--list")])
def test_a_terminal_gets_colour(words: tuple[str, ...]) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    program = [sys.executable, "-m", "autodas_dsl", *words]
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            program, stdout=theirs, stdin=subprocess.DEVNULL, env=environment
        )
        os.close(theirs)
        seen = b""
        while part := _read(screen.fileno()):
            seen += part
        assert process.wait() == 0
    assert ESCAPE.sub("", seen.decode()).replace("\r\n", "\n") == run(*words).stdout
    assert b"\x1b[" in seen


def _read(descriptor: int) -> bytes:
    """What the program wrote; Linux reports its end as an error."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""
