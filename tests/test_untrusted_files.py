"""Files that somebody else may have written: caches, runs, tables and documents."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lark
import numpy as np
import pytest
import torch
from commands import refused, run
from evolution_tables import fake_task
from fixtures import DATA
from safetensors import safe_open
from safetensors.torch import save_file
from small_networks import P_S, W

import autodas_dsl
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.journal import Fact, decode, encode
from autodas_dsl.evolution.null import null_level
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.run_folder import RunFolder, free_folder
from autodas_dsl.language import folders, parser_tables
from autodas_dsl.language.documents import MAX_DOCUMENT_BYTES, parse_document
from autodas_dsl.language.errors import Diagnostic, InputError
from autodas_dsl.language.files import plain_name, read_file
from autodas_dsl.language.library import load
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import format_document
from autodas_dsl.language.spans import Source, Span
from autodas_dsl.language.visible import UNSEEN, json_text, visible, visible_lines
from autodas_dsl.printing.table import TableRow, booktabs
from autodas_dsl.report.html import tag
from autodas_dsl.report.page import report
from autodas_dsl.report.plots import save, scatter
from autodas_dsl.report.terminal import Column, note, render, show
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Score
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.statistics.store import Store, user_store
from autodas_dsl.tables.read import load_table

ESCAPE, TURN, C1 = "\x1b[31m", "\u202e", "\x9b"
EVIL = f"a{ESCAPE}b{TURN}c{C1}d\nscore = params\x00"
RUN = DATA / "report" / "run"


@pytest.fixture
def fresh_parser() -> Iterator[None]:
    parser_tables.parser.cache_clear()
    yield
    parser_tables.parser.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "autodas-dsl"


# --- parser tables ------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("burst",)


@pytest.mark.usefixtures("fresh_parser")
def test_parser_tables_are_kept_and_served(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parse("W + 1")
    (kept,) = cache.iterdir()
    assert kept.suffix == ".json"
    assert cache.stat().st_mode & 0o777 == 0o700
    json.loads(kept.read_bytes().partition(b"\n")[2])
    parser_tables.parser.cache_clear()

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("the tables were built again")

    monkeypatch.setattr(lark.Lark, "__init__", never)
    assert str(parse("-|W|_F^2 * KL[T=8](grad W, [W, ‖W‖])")).startswith("Call")


@pytest.mark.usefixtures("fresh_parser")
def test_a_pickle_in_the_place_of_parser_tables_is_never_run(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parse("W")
    (kept,) = cache.iterdir()
    for body in (pickle.dumps(Bomb()), pickle.dumps({"data": Bomb(), "memo": {}})):
        signed = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
        for name in (kept.name, kept.with_suffix(".lark").name):
            (cache / name).write_bytes(signed)
        parser_tables.parser.cache_clear()
        assert parse("W + 1")
    assert not (tmp_path / "burst").exists()


def damaged_tables(whole: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Tables with one value replaced, or one left out, somewhere."""
    found = json.loads(json.dumps(whole))
    place: Any = found
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = chance.choice(keys)
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.2:
            break
        place = inner
    if chance.random() < 0.3:
        del place[key]
    else:
        place[key] = chance.choice([None, -1, 10**30, "x", "(", [], {}, [[1]], 0.5, True])
    return found


@pytest.mark.usefixtures("fresh_parser")
def test_malformed_parser_tables_are_built_again(cache: Path) -> None:
    parse("W")
    (kept,) = cache.iterdir()
    good = kept.read_bytes()
    body = good.partition(b"\n")[2]
    for data in (b"", b"\n", good[:-1], body, b"0" * 64 + b"\n" + body):
        kept.write_bytes(data)
        assert parser_tables._kept(kept) is None
    chance = random.Random(0)
    bad = [[], 1, {"data": 1}, None] + [damaged_tables(json.loads(body), chance) for _ in range(60)]
    for tables in [*bad, "[" * 100_000]:
        text = (tables if isinstance(tables, str) else json.dumps(tables)).encode()
        kept.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        parser_tables._kept(kept)  # nothing is raised
    kept.write_bytes(hashlib.sha256(b"[]").hexdigest().encode() + b"\n[]")
    parser_tables.parser.cache_clear()
    assert parse("W + 1")
    assert parser_tables._kept(kept) is not None


# --- the cache folder ---------------------------------------------------------------------------


def test_the_cache_folder_is_made_for_the_user_alone(cache: Path) -> None:
    assert folders.cache_folder() == cache
    assert cache.stat().st_mode & 0o777 == 0o700


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said on standard error, once, and nothing on standard output."""
    assert folders.cache_folder() is None
    assert folders.cache_folder() is None
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("note: no cache: ")
    return err


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o722])
def test_a_cache_folder_that_others_can_write_is_not_used(
    mode: int, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.mkdir(parents=True)
    cache.chmod(mode)
    assert "written by others" in told(capsys)
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
def test_a_cache_in_a_folder_that_everybody_can_change_is_not_used(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.mkdir(parents=True, mode=0o700)
    cache.parent.chmod(0o777)
    assert "everybody can change" in told(capsys)
    cache.parent.chmod(0o1777)  # as /tmp: only the owner can move what lies in it
    folders._usable.cache_clear()
    assert folders.cache_folder() == cache


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
def test_the_cache_folder_of_another_user_is_not_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert "another user" in told(capsys)


def test_a_cache_folder_that_cannot_be_made(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.parent.write_text("")
    assert "cannot be made" in told(capsys)


def test_without_a_home_no_cache_lies_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "user_cache_path", lambda name: Path("~/.cache") / name)
    assert "is not absolute" in told(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "variables",
    [{"HOME": "rel"}, {"HOME": "."}, {"XDG_CACHE_HOME": "rel"}, {"XDG_CACHE_HOME": "."}],
)
def test_relative_folders_of_the_environment_are_not_used(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    folder = folders.cache_folder()
    assert folder is None or folder.is_absolute()
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}


@pytest.mark.usefixtures("fresh_parser")
def test_everything_works_without_a_cache(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.parent.write_text("")
    assert parse("W + 1")
    assert user_store() is None
    with ScoreBook() as book:
        book.put("s", "n", {"f": Score(1.0)})
        assert book.get("s", "n") == {"f": Score(1.0)}
    assert capsys.readouterr().err.count("note: no cache") == 1
    assert cache.parent.read_text() == ""


# --- stored scores, null levels, statistics, journals -------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        ("text", "", 0), (b"\x00", "", 0), (1.0, None, 0), (1.0, b"", 0), (1.0, "", "x"),
        (1.0, "", 7), (float("inf"), "", 0), (1.0, "a reason", 0), (None, "", 0), (1.0, "", None),
        (None, 5.5, 0),
    ],
)  # fmt: skip
def test_stored_scores_that_were_never_stored_are_computed_again(
    row: tuple[object, object, object], tmp_path: Path
) -> None:
    path = tmp_path / "scores.sqlite"
    with ScoreBook(path) as book:
        good = {"a": Score(2.5), "b": Score(float("nan"), "no value", True)}
        book.put("s", "n", good)
    with sqlite3.connect(path) as base:
        base.execute("DROP TABLE scores")
        base.execute(
            "CREATE TABLE scores (setting TEXT, network TEXT, formula TEXT, value, reason, unmet,"
            " PRIMARY KEY (setting, network, formula))"
        )
        base.execute("INSERT INTO scores VALUES ('s', 'n', 'c', ?, ?, ?)", row)
        base.execute("INSERT INTO scores VALUES ('s', 'n', 'a', 2.5, '', 0)")
    with ScoreBook(path) as book:
        assert book.get("s", "n") == {"a": Score(2.5)}


def test_a_score_store_of_other_columns_or_torn_pages_is_a_diagnostic(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE scores (x)")
    with ScoreBook(path) as book, pytest.raises(InputError, match=r"E651(?s:.)*delete the file"):
        book.get("s", "n")
    torn = tmp_path / "torn.sqlite"
    with ScoreBook(torn) as book:
        book.put("s", "n", {str(i): Score(float(i)) for i in range(2000)})
    data = bytearray(torn.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    torn.write_bytes(data)
    with pytest.raises(InputError, match="E651"), ScoreBook(torn) as book:
        book.get("s", "n")


@pytest.mark.parametrize(
    "text",
    [
        '{"taus": []}', '{"taus": [1e999]}', '{"taus": [NaN]}', '{"taus": ["0.5"]}',
        '{"taus": [true]}', '{"taus": [2]}', '{"taus": {"0": 0.5}}', '{"taus": [0.1, 0.2]}',
        '{"taus": [0.1]}', '{"taus": [0.1], "sums": []}', '{"taus": [0.1], "sums": [2]}',
        '{"taus": [' + "1" * 5000 + "]}", "[" * 100_000, "[]", "null", "\xff",
    ],
)  # fmt: skip
def test_a_null_level_that_is_none_is_measured_again(text: str, tmp_path: Path) -> None:
    config = Config(population=8, elite=2, iterations=8, max_complexity=8)
    allowed = lambda typed: True  # noqa: E731
    first = null_level(config, [fake_task()], allowed, repeats=1, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(text.encode("latin-1"))
    assert null_level(config, [fake_task()], allowed, repeats=1, cache=tmp_path) == first
    kept.write_text('{"taus": [0.25], "sums": [0.5]}')
    again = null_level(config, [fake_task()], allowed, repeats=1, cache=tmp_path)
    assert (again.taus, again.sums) == ((0.25,), (0.5,))


@pytest.mark.parametrize(
    "change",
    [
        {"values": None}, {"values": [1]}, {"values": [{}]}, {"layers": []}, {"layers": {"a": [1]}},
        {"taken": {"a": 1}}, {"values": [{"statistic": {"name": "W", "evil": 1}, "entries": 1}]},
        {"values": [{"statistic": {"name": ["W"]}, "entries": 1}]},
        {"values": [{"statistic": {"name": "nothing"}, "entries": 1}]},
        {"values": [{"statistic": {"name": "W", "parts": "3"}, "entries": 1}]},
        {"values": [{"statistic": {"name": "W"}, "entries": 10**12}]},
        {"values": [{"statistic": {"name": "W"}, "entries": "many"}]},
    ],
)  # fmt: skip
def test_statistics_that_describe_nothing_are_collected_again(
    change: dict[str, object], tmp_path: Path
) -> None:
    store = Store(tmp_path)
    store.put("key", Collected({P_S: torch.ones(2), W: (torch.ones(3),)}, {"lin": ("a",)}))
    path = store.path("key")
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["collected"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert store.get("key") is not None
    save_file(tensors, path, {"collected": json.dumps(described | change)})
    assert store.get("key") is None
    save_file(tensors, path, {"collected": "[" * 100_000})
    assert store.get("key") is None


FACT = Fact("t", "selection", "sum(norm_F(W))")


def signed(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode() + b" " + body


@pytest.mark.parametrize(
    "content",
    [
        [["t"], "selection", "f", "", {}], ["t", "selection", {}, "", {}], [1, 2, 3, 4, 5],
        ["t", "selection", "f", None, {}], ["t", "selection", "f", "AAAAAAAA8D8=", []],
        ["t", "selection", "f", "AAAAAAAA8D8=", {"0": 5}],
        ["t", "selection", "f", "AAAAAAAA8D8=", {"0": "a score with a reason"}],
        ["t", "selection", "f", "AAAAAAAA8H8=", {}], ["t"], {}, 7, None,
    ],
)  # fmt: skip
def test_a_line_of_a_journal_with_a_right_checksum_and_wrong_content(content: object) -> None:
    assert decode(signed(json.dumps(content).encode())) is None
    assert decode(signed(b"[" * 100_000)) is None
    assert decode(signed(b'["t","selection","f","AAAAAAAA8D8=",{}]')) is not None


def test_facts_about_another_number_of_networks_are_not_believed() -> None:
    task = fake_task()
    expr = parse("sum(|W|_F)")
    honest = FitnessEvaluator([task], Config())
    right = honest.scores([expr], "selection")[0][0]
    known = FitnessEvaluator([task], Config())
    fact = Fact(task.name, "selection", known.key(expr))
    known._journal.append([(fact, Outcome(np.array([1.0]), ("",)))])
    found = known.scores([expr], "selection")[0][0]
    assert np.array_equal(found.scores, right.scores, equal_nan=True)
    assert decode(encode(fact, found)[:-1]) is not None


# --- the folder of a run ------------------------------------------------------------------------


def every_change(value: Any) -> Iterator[Any]:
    """The value with one part of it replaced by what it should not be."""
    odd: list[Any] = [
        None,
        True,
        -1,
        10**400,
        float("nan"),
        float("inf"),
        "x",
        EVIL,
        [],
        {},
        [[]],
        "../../x",
    ]
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {k: v for k, v in value.items() if k != key}
            for changed in every_change(inner):
                yield {**value, key: changed}
    elif isinstance(value, list):
        for place, inner in enumerate(value[:1]):
            for changed in every_change(inner):
                yield [*value[:place], changed, *value[place + 1 :]]
    yield from odd


def test_a_report_of_a_run_that_somebody_wrote(tmp_path: Path) -> None:
    """Whatever ``run.json`` says: a page without raw control characters, or a diagnostic."""
    folder = shutil.copytree(RUN, tmp_path / "run")
    whole = json.loads((folder / "run.json").read_text())
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    pages = 0
    told: list[InputError] = []
    for changed in list(every_change(whole))[::4]:
        (folder / "run.json").write_text(json.dumps(changed))
        try:
            RunFolder(folder).read()
        except InputError as error:
            told.append(error)
            continue
        pages += 1
        if pages % 20 == 0 or EVIL[:9] in json.dumps(changed, ensure_ascii=False):
            text = report(RunFolder(folder).read())
            assert not UNSEEN.search(text.replace("\n", ""))
    assert pages
    assert {error.diagnostics[0].code for error in told} <= {"E641", "E642", "E643"}
    assert len(told) > 50
    clean("\n".join(error.render() for error in told))
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ["[" * 100_000, '{"run": ' + "1" * 5000 + "}", "\x00", "[1]"])
def test_json_that_python_cannot_hold_is_a_diagnostic(text: str, tmp_path: Path) -> None:
    folder = shutil.copytree(RUN, tmp_path / "run")
    (folder / "run.json").write_text(text)
    with pytest.raises(InputError, match="E642"):
        RunFolder(folder).read()
    with pytest.raises(InputError, match="E606"):
        evolve(Config(iterations=8), [fake_task()], folder=folder, resume=True)


@pytest.mark.parametrize("cell", ["nan", "inf", "1e999", "-inf", "x", "1e300", "", "0.5"])
@pytest.mark.parametrize("name", ["history.csv", "hall_of_fame.csv"])
def test_numbers_of_a_run_are_numbers(name: str, cell: str, tmp_path: Path) -> None:
    folder = shutil.copytree(RUN, tmp_path / "run")
    lines = (folder / name).read_text().split("\n")
    place = lines[0].split(",").index("complexity")
    cells = lines[1].split(",")
    cells[place] = cell
    lines[1] = ",".join(cells)
    (folder / name).write_text("\n".join(lines))
    with pytest.raises(InputError, match="E642"):
        RunFolder(folder).read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_in_a_run_is_not_waited_for(tmp_path: Path) -> None:
    folder = shutil.copytree(RUN, tmp_path / "run")
    (folder / "history.csv").unlink()
    os.mkfifo(folder / "history.csv")
    with pytest.raises(InputError, match=r"E642.*pipe"):
        RunFolder(folder).read()


# --- characters ---------------------------------------------------------------------------------


def test_text_is_made_visible() -> None:
    assert visible("plain ö 漢 👍 ₛ") == "plain ö 漢 👍 ₛ"
    assert visible(EVIL) == r"a\x1b[31mb\u202ec\x9bd\nscore = params\x00"
    assert visible("\U000e0041\u2066\ufeff\x7f\r\t") == r"\U000e0041\u2066\ufeff\x7f\r\t"
    assert visible_lines("a\n\tb\x1b") == "a\n\tb\\x1b"
    assert json.loads(json_text({EVIL: [EVIL]})) == {EVIL: [EVIL]}
    assert not UNSEEN.search(json_text([EVIL]).replace("\n", ""))


def clean(text: str) -> str:
    """The text, after a look for what must not be in it."""
    assert not UNSEEN.search(text.replace("\n", "").replace("\t", "")), ascii(text)
    return text


def test_nothing_unseen_reaches_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"model": EVIL, EVIL: 1.0}]
    columns = [Column("model"), Column(EVIL)]
    for format in ("table", "csv", "json"):
        clean(render(rows, columns, format, title=EVIL))
        show(rows, columns, format, title=EVIL)
    note(EVIL)
    out, err = capsys.readouterr()
    clean(out + err)
    told = Diagnostic("E999", EVIL, Span(0, 3), EVIL).render(Source(EVIL, EVIL))
    assert "score = params" in clean(told)
    assert not any(line.startswith("score") for line in told.split("\n"))


def test_nothing_unseen_reaches_html_svg_or_latex(tmp_path: Path) -> None:
    evil = replace(load("snip"), name=EVIL, about=EVIL)
    clean(tag("p", EVIL, title=EVIL))
    for form in ("svg", "dot", "json", "graphml"):
        clean(autodas_dsl.show(evil, form))
    clean(booktabs([TableRow(evil, None, None)], notes=[EVIL]))
    assert "\nscore" not in booktabs([TableRow(load("snip"), None, None)], notes=[EVIL])
    figure = scatter([1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 6], proxy=EVIL, target=EVIL)
    clean(save(figure, tmp_path / "plot")[0].read_text())


def test_a_document_is_written_without_them_and_stays_so() -> None:
    evil = replace(
        load("snip"), name="snip", about=EVIL, source=EVIL, measured=(EVIL,), reported=(EVIL,),
        extra=(("x-note", EVIL),), notes=(("score", "# " + EVIL), ("nowhere", "# " + EVIL)),
    )  # fmt: skip
    text = format_document(evil)
    clean(text)
    assert [line for line in text.split("\n") if line.startswith("score")] == [
        "score = sum(sum(|W * grad W|))"
    ]
    again = parse_document(text, stem="snip")
    assert format_document(again) == text


def test_a_table_cannot_write_lines_into_a_document(tmp_path: Path) -> None:
    name = "n\nscore = params"
    path = tmp_path / f"{name}.csv"
    shutil.copy(Path(autodas_dsl.__file__).parent / "tables/builtin/digits-resnet.csv", path)
    table = load_table(path)
    assert table.name == r"n\nscore = params"
    task = replace(fake_task(), name=name)
    found = evolve(Config(population=8, elite=2, iterations=8), [task], folder=tmp_path / "run")
    text = (tmp_path / "run" / "best.proxy").read_text()
    assert sum(line.startswith("score") for line in text.split("\n")) == 1
    assert parse_document(text, stem="best").expression == found.best.expression
    assert free_folder(tmp_path, [path]).name == "n_score_=_params-1"
    assert plain_name("../../x/..") == "__.._x_.."
    assert plain_name("..") == "_"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"arch,kd\na{ESCAPE},1\n", "E536"), (f"arch,k{TURN}d\na,1\n", "E536"),
        (f"# note: {C1}\narch,kd\na,1\n", "E536"), ('arch,kd\n"a\nb",1\n', "E504"),
        ('arch,"k\nd"\na,1\n', "E505"),
    ],
)  # fmt: skip
def test_unseen_characters_in_a_table_are_refused(text: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_table(path)
    assert caught.value.diagnostics[0].code == code
    clean(caught.value.render())


def test_commands_show_file_names_without_them(tmp_path: Path) -> None:
    folder = tmp_path / f"f{ESCAPE}{TURN}"
    folder.mkdir()
    (folder / "tidy.proxy").write_text("proxy/1 tidy\nscore = params\n")
    for words in (["check"], ["check", "--format", "json"], ["fmt", "--check"], ["fmt", "--diff"]):
        result = run(*words, folder)
        clean(result.stdout + result.stderr)
    clean(run("show", folder / "absent.proxy").stderr)


# --- sizes and kinds of files -------------------------------------------------------------------


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_large_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = sparse(tmp_path / "big.proxy", 3 << 30)
    sheet = sparse(tmp_path / "big.csv", 3 << 30)

    plain = Path.open

    def guarded(path: Path, *args: Any, **kwargs: Any) -> Any:
        assert path.parent != tmp_path, "the file was opened"
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", guarded)
    refused(run("show", document), "E302", "larger than 1 MiB")
    assert "E302" in run("check", document).stdout
    assert "E302" in run("fmt", document).stderr
    with pytest.raises(InputError, match=r"E519.*larger than 256 MiB"):
        load_table(sheet)


def test_a_file_at_its_limit_is_read(tmp_path: Path) -> None:
    text = "proxy/1 a\nscore = params\n#"
    path = tmp_path / "a.proxy"
    path.write_text(text + "x" * (MAX_DOCUMENT_BYTES - len(text)))
    assert run("check", path).exit_code == 0
    with pytest.raises(OSError, match="larger"):
        read_file(path, MAX_DOCUMENT_BYTES - 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.proxy"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        assert "a pipe or a device" in run("check", path).stdout
        with pytest.raises(InputError, match=r"E519.*a pipe or a device"):
            load_table(path)
    refused(run("show", pipe), "E301", "a pipe or a device")
    assert "a pipe or a device" in run("fmt", "--check", tmp_path).stderr


def test_standard_input_is_read_up_to_the_limit(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from autodas_dsl.cli.entry import cli

    given = b"#" * (3 * MAX_DOCUMENT_BYTES)
    result = CliRunner().invoke(cli, ["fmt", "-"], input=given)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "E302" in result.stderr
