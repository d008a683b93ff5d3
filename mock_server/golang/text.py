"""Go's quoting of texts and bytes in messages (``%q``)."""

from __future__ import annotations

_NAMED = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 34: r"\"", 92: r"\\"}


def quote(text: str | bytes) -> str:
    r"""Write `text` as Go's ``strconv.Quote`` does.

    Bytes that are not UTF-8 become ``\xNN``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    point = ord(character)
    if point in _NAMED:
        return _NAMED[point]
    if character.isprintable():
        return character
    if 0xDC80 <= point <= 0xDCFF:  # a stray byte, kept by "surrogateescape"
        return f"\\x{point - 0xDC00:02x}"
    if point < 0x20 or point == 0x7F:
        return f"\\x{point:02x}"
    if 0xD800 <= point <= 0xDFFF:
        return "�"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def quote_byte(byte: int) -> str:
    """Write one byte as Go's JSON scanner names an unexpected character."""
    if byte == ord("'"):
        return r"'\''"
    if byte == ord('"'):
        return "'\"'"
    return "'" + quote(chr(byte))[1:-1] + "'"
