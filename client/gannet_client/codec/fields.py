"""The fields of a message in protobuf's wire format, read as they stand, without a copy."""

from dataclasses import dataclass, field
from typing import Final

from gannet_client.codec.varints import read_varint

MAX_REPEATED: Final = 1 << 22
"""Strings of a tensor, or outputs of a response: each becomes an object of Python."""

_MOST_OTHERS: Final = 64
_TAGS: Final = range(1 << 3, 1 << 32)
_VARINT, _EIGHT_BYTES, _CHUNK, _FOUR_BYTES = 0, 1, 2, 5
_SINGLE: Final = (_VARINT, _EIGHT_BYTES, _FOUR_BYTES)


class Irregular(Exception):
    """A form that no server of today writes: single fields twice, lists that are not packed, groups."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one message by their tags; one of another type than expected counts as unknown.

    Attributes:
        numbers: The varints.
        chunks: All others, as views.
        repeated: The entries of the field that may stand there several times.
    """

    numbers: dict[int, int] = field(default_factory=dict)
    chunks: dict[int, memoryview] = field(default_factory=dict)
    repeated: list[memoryview] = field(default_factory=list)

    def packed(self, number: int) -> memoryview:
        """The packed list in the field `number`, empty where there is none.

        Raises:
            Irregular: It is not packed.
        """
        if any(number << 3 | kind in self.numbers or number << 3 | kind in self.chunks for kind in _SINGLE):
            raise Irregular
        return self.chunks.get(chunk_tag(number), memoryview(b""))


def varint_tag(number: int) -> int:
    """The tag of the field `number` if it holds a varint."""
    return number << 3 | _VARINT


def chunk_tag(number: int) -> int:
    """The tag of the field `number` if it holds bytes, text, a message or a packed list."""
    return number << 3 | _CHUNK


def read_fields(data: memoryview, repeated: int = 0) -> Fields:
    """Walks over a message.

    Args:
        data: The message.
        repeated: The tag of the one field that may stand there several times.

    Raises:
        Irregular: The message should be written anew by protobuf.
        ValueError: It is broken.
    """
    fields = Fields()
    position, end = 0, len(data)
    while position < end:
        tag, start = data[position], position + 1
        if tag > 0x7F:
            tag, start = read_varint(data, position)
        if tag not in _TAGS:
            raise ValueError(f"a field at byte {position} has the number {tag >> 3}, which no field may have")
        position = _read_field(data, tag, start, fields, repeated)
        if len(fields.numbers) + len(fields.chunks) > _MOST_OTHERS:
            raise Irregular
    return fields


def _read_field(data: memoryview, tag: int, start: int, fields: Fields, repeated: int) -> int:
    if tag in fields.numbers or tag in fields.chunks:
        raise Irregular
    if tag & 7 == _VARINT:
        fields.numbers[tag], position = read_varint(data, start)
        return position
    start, position = _span(data, tag, start)
    if position > len(data):
        raise ValueError(
            f"a field at byte {start} has {position - start} bytes, of which {len(data) - start} are there"
        )
    if tag != repeated:
        fields.chunks[tag] = data[start:position]
    elif len(fields.repeated) < MAX_REPEATED:
        fields.repeated.append(data[start:position])
    else:
        raise ValueError(f"a message holds more than {MAX_REPEATED} strings or outputs")
    return position


def _span(data: memoryview, tag: int, start: int) -> tuple[int, int]:
    kind = tag & 7
    if kind == _CHUNK:
        length, start = read_varint(data, start)
        return start, start + length
    if kind == _FOUR_BYTES:
        return start, start + 4
    if kind == _EIGHT_BYTES:
        return start, start + 8
    raise Irregular
