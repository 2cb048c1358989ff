"""Documents: canonical rendering, comments that survive wherever they stand, layout."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from strategies import seeded_scores

from autodas_dsl.language.documents import parse_document, read_document
from autodas_dsl.language.errors import FormulaError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.library import library_files

SAMPLE = """\
proxy/1 sample

about: "What it is, with a \\"quote\\", a # and a \\\\."
source: "Somebody, Somewhere, 2024"
better: lower
inputs: E_s, E_t, W, grad W
x-note: anything at all # also this

let e = sigmoid([E_s, E_t])
let long =
    sum(|logsoftmax(grad W)|_F)
    + 100 * (1 - cosine[B](e)) * KL[T=8](e)
    - 3 * sum(|W|_F)
score = long + L2(e)

reported: table-a spearman=0.5 # this is text
reported: table-b spearman=0.25

measured: table-c kendall=0.125
"""


def test_sample_is_canonical() -> None:
    assert str(parse_document(SAMPLE)) == SAMPLE


def test_headers_are_put_in_order_and_inputs_are_written() -> None:
    messy = "\n".join(
        ["proxy/1   messy", "x-b: 2", "better:   higher", 'source:  "S"', "x-a:   1 2",
         'about:"A"', "let   w=|W|_F", "score =", "  sum(w", "  )", "measured:  m  n", "reported: r"]
    )  # fmt: skip
    assert str(parse_document(messy)) == (
        'proxy/1 messy\n\nabout: "A"\nsource: "S"\nbetter: higher\ninputs: W\nx-b: 2\nx-a: 1 2\n\n'
        "let w = |W|_F\nscore = sum(w)\n\nreported: r\n\nmeasured: m n\n"
    )


def test_formulas_are_flat_to_88_columns() -> None:
    fits = "score = " + " + ".join(["params"] * 7) + " + flops * 12345678"
    assert len(fits) == 87
    assert f"\n{fits}0\n" in str(parse_document(f"proxy/1 a\n{fits}0\n"))
    broken = str(parse_document(f"proxy/1 a\n{fits}00\n"))
    assert "score =\n    params\n    + params\n" in broken
    single = f"score = sum(sum({'sigmoid(' * 12}W{')' * 14}\n"
    assert single in str(parse_document(f"proxy/1 a\n{single}"))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("# top\nproxy/1 a\nscore = params\n", "# top\nproxy/1 a"),
        ("proxy/1 a # name\nscore = params\n", "# name\nproxy/1 a"),
        ("proxy/1 a\n# above\nscore = params\n", "# above\nscore = params"),
        ("proxy/1 a\nscore = params # beside\n", "score =\n    params  # beside"),
        ("proxy/1 a\nscore = # first\n  params\n", "score =\n    # first\n    params"),
        ("proxy/1 a\nscore =\n  params # one\n  + flops # two\n",
         "    params  # one\n    + flops  # two"),
        ("proxy/1 a\nscore =\n  params\n  # between\n  + flops\n",
         "    params\n    # between\n    + flops"),
        ("proxy/1 a\nscore = params\n  # below\n", "    params\n    # below"),
        ("proxy/1 a\nscore = params\n# end\n", "score = params\n\n# end\n"),
        ("proxy/1 a\nbetter: lower # header\nscore = params\n", "# header\nbetter: lower"),
        ('proxy/1 a\nabout: "A # b" # c\nscore = params\n', '# c\nabout: "A # b"'),
        ("proxy/1 a\nscore = params\nreported: a # b\n", "reported: a # b"),
    ],
)  # fmt: skip
def test_places_of_comments(written: str, kept: str) -> None:
    once = str(parse_document(written))
    assert kept in once
    assert str(parse_document(once)) == once


def insert_comments(text: str, source: random.Random) -> tuple[str, list[str]]:
    """A document with comments at random places: own lines, ends of lines, inside formulas."""
    lines: list[str] = []
    marks: list[str] = []

    def mark() -> str:
        marks.append(f"# note {len(marks)}")
        return marks[-1]

    for line in text.split("\n")[:-1]:
        free_text = line.startswith(("reported:", "measured:", "x-"))
        while source.random() < 0.2:
            indent = "    " if lines and lines[-1][:1].isspace() else ""
            lines.append(source.choice(["", indent]) + mark())
        if line.strip() and not free_text and source.random() < 0.4:
            line = f"{line}{source.choice([' ', '  ', ''])}{mark()}"
        lines.append(line)
    if source.random() < 0.3:
        lines.append(mark())
    return "\n".join(lines) + "\n", marks


def comments_of(text: str) -> list[str]:
    """The inserted comments that a reader of documents finds, wherever they stand."""
    proxy = parse_document(text)
    found = [note for _, note in proxy.notes]
    for formula in (*proxy.lets, proxy.score):
        found += [comment.text for comment in formula.comments]
    return found


def documents() -> list[str]:
    shipped = [path.read_text(encoding="utf-8") for path in library_files().values()]
    trees = seeded_scores(60, seed=3)
    generated = [
        f"proxy/1 a\n\nlet b = {format_expression(first)}\nscore =\n    b\n    - "
        f"({format_expression(second)})\n"
        for first, second in zip(trees[::2], trees[1::2], strict=True)
    ]
    return [SAMPLE, *shipped, *generated]


@pytest.mark.parametrize("seed", range(8))
def test_no_comment_is_lost_wherever_it_stands(seed: int) -> None:
    source = random.Random(seed)
    for text in documents():
        commented, marks = insert_comments(text, source)
        proxy = parse_document(commented)
        once = str(proxy)
        assert sorted(comments_of(once)) == sorted(marks)
        again = parse_document(once)
        assert again == proxy
        assert str(again) == once


def test_comments_between_brackets_survive() -> None:
    text = "proxy/1 a\nscore = sum( # one\n  # two\n  |W|_F # three\n  # four\n ) # five\n # six\n"
    proxy = parse_document(text)
    once = str(proxy)
    assert [c for c in ("one", "two", "three", "four", "five", "six") if f"# {c}" not in once] == []
    assert str(parse_document(once)) == once


def test_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    plain = SAMPLE.encode()
    for data in (
        b"\xef\xbb\xbf" + plain,
        plain.replace(b"\n", b"\r\n"),
        plain.replace(b"\n", b"\r"),
    ):
        file = tmp_path / "sample.proxy"
        file.write_bytes(data)
        assert str(read_document(file)) == SAMPLE


def test_all_mistakes_are_reported_at_once() -> None:
    text = "proxy/1 a\nbetter: best\nabout: no\nfoo: bar\nlet W = 1\nscore = sum(W +\n"
    with pytest.raises(FormulaError) as caught:
        parse_document(text)
    codes = [d.code for d in caught.value.diagnostics]
    assert codes == ["E312", "E312", "E310", "E308", "E109"]
