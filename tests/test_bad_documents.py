"""Ten thousand damaged documents end in a diagnostic or in a valid document."""

from __future__ import annotations

import random

import pytest
from fixtures import explained
from mutations import damaged

from autodas_dsl.language.documents import decode, parse_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import library_files

COUNT = 10_000
DOCUMENTS = [path.read_bytes() for path in library_files().values()]


def outcome(data: bytes) -> str:
    """The canonical text of a valid document; empty for one that is refused with a diagnostic."""
    try:
        proxy = parse_document(decode(data, "a.proxy"), "a.proxy")
        proxy.check()
        text = str(proxy)
        proxy.typed()
    except InputError as error:
        explained(error)
        return ""
    assert parse_document(text) == proxy
    assert str(parse_document(text)) == text
    return text


@pytest.mark.parametrize("seed", range(10))
def test_damaged_documents(seed: int) -> None:
    source = random.Random(seed)
    outcomes = [outcome(damaged(source, DOCUMENTS)) for _ in range(COUNT // 10)]
    valid = sum(1 for text in outcomes if text)
    assert 20 < valid < COUNT // 10


@pytest.mark.parametrize(
    "body",
    [
        b"(" * 1_000_000, b"[" * 1_000_000, b"score = " + b"(" * 60_000, b"|" * 60_000,
        b"score = " + b"-" * 60_000, b"score = " + b"2^" * 30_000 + b"W", b'about: "' * 100_000,
        b"#" * 900_000, b"let a = 1\n" * 90_000, b"score = " + b"W+" * 30_000 + b"W",
        b"score = " + b"a" * 60_000, b"score = " + b"a" * 900_000, b"\n" * 900_000,
        b" " * 900_000, b"x-a: 1\n" * 100_000, b"\0" * 900_000, b"score = \xff", b"# c\n" * 200_000,
        b"score =\n" + b"  # c\n" * 100_000 + b"  params", b"score = params\n" * 60_000,
        b"score = sum(" + b"batch(bmm(" * 60 + b"F_s" + b"))" * 60 + b")",
        b"score = sum(" + b"mm(" * 150 + b"F_s" + b")" * 150 + b")",
        b"".join(b"let a%d = a%d * a%d\n" % (i, i - 1, i - 1) for i in range(1, 3000)),
        b"let a0 = batch(F_s)\n"
        + b"".join(b"let a%d = batch(bmm(a%d))\n" % (i, i - 1) for i in range(1, 100))
        + b"score = sum(a99)",
        b"score = " + b"local[s=1](" * 150 + b"F_s" + b")" * 150,
        b"score = " + b"noop(" * 190 + b"params" + b")" * 190,
        b"score = " + b" + ".join([b"diswot"] * 150),
        b"score = sum(" + b"multiscale(" * 190 + b"F_s" + b")" * 191,
        b"\n".join(b"let a%d = " % i + b"+".join([b"W"] * 120) for i in range(300)),
    ],
    ids=range(29),
)  # fmt: skip
def test_large_and_deep_documents(body: bytes) -> None:
    outcome(b"proxy/1 a\n" + body + b"\n")


def test_an_unreadable_name_is_shown_shortened() -> None:
    with pytest.raises(InputError) as caught:
        parse_document("proxy/1 a\nscore = " + "a" * 60_000 + "\n").typed()
    assert all(len(line) < 400 for line in str(caught.value).split("\n"))
