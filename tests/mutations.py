"""Damaged documents: bytes flipped, lines cut, moved and spliced, brackets, odd encodings."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

TOKENS = (
    b"(", b")", b"[", b"]", b"|", b"||", b"|_F", "‖".encode(), b"^", b"-", b"+", b"*", b"/", b"@",
    b",", b"=", b"#", b'"', b"\\", b"let ", b"score = ", b"grad ", b"hess ", b"sum(", b"F_t", b"\0",
    b"\t", b"\r", b"\r\n", b"\x0b", b"\xff", b"\xc3\x28", "²".encode(), "∂L/∂".encode(), "ₛ".encode(),
    b"1e999", b"0x1", b"proxy/2", b"x-y: ", b"inputs: ", b"\xef\xbb\xbf", "\u2028".encode(), b"\n ",
)  # fmt: skip
Damage = Callable[[random.Random, bytes], bytes]


def flip(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randint(1, 8)):
        changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)


def insert(source: random.Random, data: bytes) -> bytes:
    for _ in range(source.randint(1, 6)):
        at = source.randint(0, len(data))
        data = data[:at] + source.choice(TOKENS) + data[at:]
    return data


def delete(source: random.Random, data: bytes) -> bytes:
    for _ in range(source.randint(1, 4)):
        start = source.randint(0, len(data))
        data = data[:start] + data[start + source.randint(1, 12) :]
    return data


def lines(source: random.Random, data: bytes) -> bytes:
    """Lines cut, doubled, swapped, indented or their indent removed."""
    parts = data.split(b"\n")
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(parts))
        other = source.randrange(len(parts))
        way = source.randrange(5)
        if way == 0 and len(parts) > 1:
            del parts[at]
        elif way == 1:
            parts.insert(other, parts[at])
        elif way == 2:
            parts[at], parts[other] = parts[other], parts[at]
        elif way == 3:
            parts[at] = b"  " + parts[at]
        else:
            parts[at] = parts[at].lstrip()
    return b"\n".join(parts)


def truncate(source: random.Random, data: bytes) -> bytes:
    return data[: source.randint(0, len(data))]


def brackets(source: random.Random, data: bytes) -> bytes:
    """Deep nesting of one kind or another, sometimes closed again."""
    depth = source.choice((3, 60, 199, 201, 5000))
    opening, closing = source.choice(
        [(b"(", b")"), (b"[", b", 1]"), (b"sum(", b")"), (b"|", b"|"), (b"-", b""), (b"2^", b"")]
    )
    inner = opening * depth + b"W" + closing * source.choice((depth, depth - 1, 0))
    return data.replace(b"score =", b"score = " + inner + source.choice((b" + ", b"")), 1)


def long_sum(source: random.Random, data: bytes) -> bytes:
    sign = source.choice((b" + ", b" * ", b" @ ", b"^", b" - -", b", "))
    return data.replace(b"score =", b"score = " + sign.join([b"W"] * source.choice((150, 5000))), 1)


def cycles(source: random.Random, data: bytes) -> bytes:
    """Lets that use themselves, each other, or those below."""
    count = source.randint(1, 5)
    lets = b"".join(
        b"let q%d = q%d + q%d\n" % (i, source.randrange(count), source.randrange(count))
        for i in range(count)
    )
    return data.replace(b"score =", lets + b"score = q0 +", 1)


def encode(source: random.Random, data: bytes) -> bytes:
    way = source.randrange(5)
    if way == 0:
        return b"\xef\xbb\xbf" + data
    if way == 1:
        return data.replace(b"\n", source.choice((b"\r\n", b"\r", b"\n\r", b"\n\n")))
    text = data.decode("utf-8", "replace")
    if way == 2:
        return text.encode("utf-16")
    if way == 3:
        return text.encode("latin-1", "replace")
    return data.replace(b" ", "\u00a0".encode(), source.randint(1, 5))


DAMAGES: Sequence[Damage] = (
    flip, flip, insert, insert, delete, lines, lines, truncate, brackets, long_sum, cycles, encode,
)  # fmt: skip


def damaged(source: random.Random, documents: Sequence[bytes]) -> bytes:
    """A document with one to three damages, sometimes spliced from two."""
    data = source.choice(documents)
    if source.random() < 0.15:
        other = source.choice(documents)
        data = data[: source.randint(0, len(data))] + other[source.randint(0, len(other)) :]
    for _ in range(source.choice((1, 1, 2, 3))):
        data = source.choice(DAMAGES)(source, data) if data else data
    return data
