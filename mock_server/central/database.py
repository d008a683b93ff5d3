"""Errors of Central's database, PostgreSQL, that show in answers.

An integration is stored as bytes and a few columns; one is the name, with a unique index.
"""

from __future__ import annotations

_LARGEST_INDEX_ROW = 2704
_LARGEST_TUPLE = 8191
_INDEX = "uni_image_integrations_name"
_HEADER = 4
"""Bytes before a value: its length."""

START = "found non-retryable error: closing batch: ERROR: "
"""pkg/postgres/pgutils/retry.go, pkg/search/postgres/store.go."""
DUPLICATE_NAME = f'duplicate key value violates unique constraint "{_INDEX}" (SQLSTATE 23505): already exists'
NO_KEY = 'null value in column "id" of relation "image_integrations" violates not-null constraint (SQLSTATE 23502)'


def name_error(name: str) -> str | None:
    """Return why a name cannot be stored, or None."""
    if "\0" in name:
        return 'invalid byte sequence for encoding "UTF8": 0x00 (SQLSTATE 22021)'
    if len(name) * 4 + 12 <= _LARGEST_INDEX_ROW:
        return None
    value = name.encode("utf-8", "surrogatepass")
    size = _index_row(len(value) + _HEADER)
    if size <= _LARGEST_INDEX_ROW:
        return None
    packed = compressed_size(value)
    if packed is not None and packed + 2 * _HEADER < len(value) + _HEADER - 2:
        size = _index_row(packed + 2 * _HEADER)
    if size > _LARGEST_TUPLE:
        return f"index row requires {size} bytes, maximum size is {_LARGEST_TUPLE} (SQLSTATE 54000)"
    if size > _LARGEST_INDEX_ROW:
        return (
            f"index row size {size} exceeds btree version 4 maximum {_LARGEST_INDEX_ROW} for index "
            f'"{_INDEX}" (SQLSTATE 54000)'
        )
    return None


def _index_row(value: int) -> int:
    """Return the bytes of an index row with one value, its own header of eight bytes included."""
    return (value + 8 + 7) // 8 * 8


# -- PostgreSQL's compression (src/common/pg_lzcompress.c), for the size alone ------------------------------

_ENOUGH = 1 << 14
"""Bytes after which the size of a value that is already too long is only estimated."""
_LONGEST_MATCH = 273
_FARTHEST = 0x0FFF
_HISTORY = 4096
_GOOD_MATCH, _GOOD_DROP = 128, 10
_FIRST_SUCCESS = 1024


def compressed_size(value: bytes) -> int | None:
    """Return the size of a value that PostgreSQL has compressed, or None if it does not compress it."""
    most = len(value) * 75 // 100
    mask = _hash_size(len(value)) - 1
    chains: dict[int, list[int]] = {}
    size, items, found, at = 0, 0, False, 0
    while at < len(value):
        if size >= most or (not found and size >= _FIRST_SUCCESS):
            return None
        if size > _LARGEST_TUPLE and at >= _ENOUGH:
            return size * len(value) // at if size < at * 75 // 100 else None
        if items % 8 == 0:
            size += 1  # marks which of the next eight are matches
        length = _longest_match(value, at, chains.get(_hash(value, at, mask), []))
        if length > 2:
            size += 2 if length < 18 else 3
            found = True
        else:
            size, length = size + 1, 1
        for position in range(at, at + length):
            chain = chains.setdefault(_hash(value, position, mask), [])
            chain.append(position)
            if len(chain) > _HISTORY:
                del chain[: _HISTORY // 2]
        items, at = items + 1, at + length
    return size if size < most else None


def _hash_size(length: int) -> int:
    return next((size for limit, size in ((128, 512), (256, 1024), (512, 2048), (1024, 4096)) if length < limit), 8192)


def _hash(value: bytes, at: int, mask: int) -> int:
    four = value[at : at + 4]
    if len(four) < 4:
        return four[0] & mask
    return (four[0] << 6 ^ four[1] << 4 ^ four[2] << 2 ^ four[3]) & mask


def _longest_match(value: bytes, at: int, chain: list[int]) -> int:
    """Try the places where the same bytes may begin, the nearest first, until a match is good enough."""
    best, good = 0, _GOOD_MATCH
    for place in reversed(chain):
        if at - place >= _FARTHEST:
            break
        length = _match(value, at, place)
        best = max(best, length)
        if best >= good:
            break
        good -= good * _GOOD_DROP // 100
    return best


def _match(value: bytes, at: int, place: int) -> int:
    most = min(_LONGEST_MATCH, len(value) - at)
    return next((length for length in range(most) if value[place + length] != value[at + length]), most)
