"""An input of a serialised ONNX graph fixed to one value, without a package that reads ONNX.

A runtime cannot know what an input will be; a constant it does know, and then it follows the
branches that hang on it when it loads the graph, not when it runs it, and lays the layers inside
out as suits the processor.  The base installation has a runtime, but nothing to edit a graph with,
and of the format (protocol buffers) this needs little: a message is a sequence of fields, each a
number, a kind and a value, and fields that are not known are copied.
"""

import struct
from collections.abc import Iterator

VARINT, FIXED64, TEXT, FIXED32 = 0, 1, 2, 5  # kinds of fields; a text may be a message
GRAPH = 7  # fields of a model, of its graph, of a tensor, and of what describes an input
INITIALIZER, INPUT = 5, 11
TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 2, 8, 9
INPUT_NAME = 1
INT64 = 7  # an element type


def with_fixed(model: bytes, name: str, value: int) -> bytes:
    """The model with its input ``name``, a whole number that has a default, fixed to a value.

    Raises a `ValueError` unless there is such an input.
    """
    changed = [
        write(GRAPH, graph_with_fixed(part, name, value)) if number == GRAPH else whole
        for number, part, whole in fields(model)
    ]
    return b"".join(changed)


def graph_with_fixed(graph: bytes, name: str, value: int) -> bytes:
    kept, found = [], 0
    for number, part, whole in fields(graph):
        if number == INPUT and text_of(part, INPUT_NAME) == name:
            found += 1
        elif number == INITIALIZER and text_of(part, TENSOR_NAME) == name:
            found += 1
            kept.append(write(INITIALIZER, whole_number(name, value)))
        else:
            kept.append(whole)
    if found != 2:
        raise ValueError(f"the graph has no input {name} with a default")
    return b"".join(kept)


def whole_number(name: str, value: int) -> bytes:
    """A tensor () of int64."""
    kind = varint(TENSOR_TYPE << 3 | VARINT) + varint(INT64)
    return kind + write(TENSOR_NAME, name.encode()) + write(TENSOR_RAW, struct.pack("<q", value))


def text_of(message: bytes, number: int) -> str | None:
    return next((part.decode() for field, part, _ in fields(message) if field == number), None)


def fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, value and the whole of each field; only texts have a value."""
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
            raise ValueError("not a serialised ONNX graph")
        yield key >> 3, value, message[first:place]


def write(number: int, value: bytes) -> bytes:
    """A field that is a text or a message."""
    return varint(number << 3 | TEXT) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all bytes but the last have their highest bit set."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def read_varint(message: bytes, place: int) -> tuple[int, int]:
    """A number that begins at a place, and the place behind it."""
    value, shift = 0, 0
    while True:
        if place >= len(message):
            raise ValueError("not a serialised ONNX graph")
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
