"""Fixes an input of a serialised ONNX graph to one value, without a package that reads ONNX.

A runtime cannot know the value of an input in advance. It knows that of a constant: then it
follows the branches that depend on it when it loads the graph, and chooses the memory layout of the
layers inside for the processor. The base installation has a runtime but no package to edit graphs.
The format (protocol buffers) is simple enough: a message is a sequence of fields, each a number, a
wire type and a value, and unknown fields are copied.
"""

import struct
from collections.abc import Iterator

VARINT, FIXED64, TEXT, FIXED32 = 0, 1, 2, 5  # wire types; a text may be a message
GRAPH = 7  # field of a model
INITIALIZER, INPUT = 5, 11  # fields of a graph
TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 2, 8, 9  # fields of a tensor
INPUT_NAME = 1  # field of the description of an input
INT64 = 7  # an element type
NO_GRAPH = "not a serialised ONNX graph"


def fix_input(model: bytes, name: str, value: int) -> bytes:
    """Return the model with its input ``name``, an int64 with a default, fixed to ``value``.

    Raises a `ValueError` unless there is such an input.
    """
    changed = [
        text_field(GRAPH, fix_graph_input(part, name, value)) if number == GRAPH else whole
        for number, part, whole in fields(model)
    ]
    return b"".join(changed)


def fix_graph_input(graph: bytes, name: str, value: int) -> bytes:
    """Return a graph without its input ``name``, whose default becomes ``value``."""
    kept, found = [], 0
    for number, part, whole in fields(graph):
        if number == INPUT and read_text(part, INPUT_NAME) == name:
            found += 1
        elif number == INITIALIZER and read_text(part, TENSOR_NAME) == name:
            found += 1
            kept.append(text_field(INITIALIZER, int64_tensor(name, value)))
        else:
            kept.append(whole)
    if found != 2:
        raise ValueError(f"the graph has no input {name} with a default")
    return b"".join(kept)


def int64_tensor(name: str, value: int) -> bytes:
    """Return a tensor () of int64."""
    kind = varint(TENSOR_TYPE << 3 | VARINT) + varint(INT64)
    raw = struct.pack("<q", value)
    return kind + text_field(TENSOR_NAME, name.encode()) + text_field(TENSOR_RAW, raw)


def read_text(message: bytes, number: int) -> str | None:
    """Return the first field ``number`` of a message, a text, or None."""
    return next((part.decode() for field, part, _ in fields(message) if field == number), None)


def fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, value and all bytes of each field; only texts get a value."""
    place = 0
    while place < len(message):
        first = place
        key, place = read_varint(message, place)
        kind, value = key & 7, b""
        if kind == VARINT:
            _, place = read_varint(message, place)
        elif kind == TEXT:
            size, place = read_varint(message, place)
            value = message[place : place + size]
            place += size
        elif kind in (FIXED32, FIXED64):
            place += 4 if kind == FIXED32 else 8
        else:
            raise ValueError(NO_GRAPH)
        yield key >> 3, value, message[first:place]


def text_field(number: int, value: bytes) -> bytes:
    """Return a field that is a text or a message."""
    return varint(number << 3 | TEXT) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """Return a number in seven bits a byte, lowest first; all bytes but the last have their
    highest bit set."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def read_varint(message: bytes, place: int) -> tuple[int, int]:
    """Return the number that begins at ``place``, and the place behind it."""
    value, shift = 0, 0
    while True:
        if place >= len(message):
            raise ValueError(NO_GRAPH)
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
