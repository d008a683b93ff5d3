"""Published documents as OpenAPI data: JSON, YAML, and the tables of a Markdown or HTML page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from typing import Any, NamedTuple

from contract_tests.engine.failures import HarnessError

PUBLISHED = "/api/docs/swagger"
"""The path at which a Central publishes its document, Swagger 2.0 of all services."""
MOST = 32 * 2**20
"""Maximum size of a document in bytes; Central 4.11's has 2 MB."""
_MOST_VALUES = 1_000_000
"""Maximum number of values of a YAML document, whose aliases can multiply them."""

_MARKDOWN = re.compile(r"^#+ |^\|.*\|$", re.MULTILINE)
"""A heading or a row of a table."""

Node = Mapping[str, Any]


def parse(content: bytes, name: str) -> Node:
    """Parse a document; `name` is its origin, for messages.

    Raises:
        HarnessError: the document cannot be read.
    """
    try:
        text = content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeError:
        raise HarnessError(f"{name}: is not UTF-8 or UTF-16 text") from None
    is_data = text.lstrip().startswith("{") or re.search(r"""^["']?(swagger|openapi)["']?\s*:""", text, re.MULTILINE)
    if text.lstrip().startswith("<") or (not is_data and _MARKDOWN.search(text)):
        found = _parse_page(_blocks(text))
    else:
        found = _parse_data(text, name)
    if not isinstance(found, dict) or not ("swagger" in found or "openapi" in found):
        raise HarnessError(
            f"{name}: is not Swagger 2.0, OpenAPI 3.0 or 3.1, or a page with tables of operations or objects"
        )
    return found


def _parse_data(text: str, name: str) -> Any:
    import yaml

    try:
        if text.lstrip().startswith("{"):
            return json.loads(text)
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found = yaml.load(text, loader)  # noqa: S506 (a safe loader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what = getattr(error, "problem", None) or (str(error).partition("\n")[0] or "it is nested too deeply")
        raise HarnessError(f"{name}: cannot be read: {where}{what}") from None
    if has_more_values(found, _MOST_VALUES):
        raise HarnessError(f"{name}: contains itself, or has more than {_MOST_VALUES} values with those of its aliases")
    return found


def has_more_values(value: Any, most: int) -> bool:
    """Return whether a value has more than `most` values in it; one that is in it twice counts twice."""
    pending, count = [value], 0
    while pending:
        each = pending.pop()
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, (list, tuple)) else ()
        count += len(inner)
        if count > most:
            return True
        pending += inner
    return False


def merged(documents: Iterable[Node]) -> Node:
    """Merge documents, such as a page of operations and one of objects; the first definition of a name wins.

    Raises:
        HarnessError: a document contains itself.
    """
    first, *more = documents
    if not more:
        return first
    try:
        whole = json.loads(json.dumps(first, default=str))
        for each in more:
            for part in ("paths", "definitions", "components"):
                _add(whole, {part: each[part]} if part in each else {})
    except (ValueError, RecursionError):
        raise HarnessError("the documents cannot be merged, because one of them contains itself") from None
    return whole  # type: ignore[no-any-return]


def _add(to: dict[str, Any], more: Node) -> None:
    for key, value in more.items():
        if isinstance(to.get(key), dict) and isinstance(value, dict):
            _add(to[key], value)
        else:
            to.setdefault(key, value)


# -- the tables of a page -----------------------------------------------------------------------------


class Block(NamedTuple):
    """A heading, a paragraph or a table of a page."""

    kind: str
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


class _Page(HTMLParser):
    """Collects the blocks of an HTML page."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._rows: list[list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (as the parser calls it)
        """Begin a block or a cell."""
        if tag == "table":
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        if tag in ("td", "th", "h1", "h2", "h3", "h4", "h5", "h6") or (tag == "p" and self._rows is None):
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """End a block or a cell."""
        text = " ".join("".join(self._text).split())
        if tag == "table":
            self.blocks.append(Block("table", rows=tuple(tuple(row) for row in self._rows or () if row)))
            self._rows = None
        elif self._rows is not None:
            if tag in ("td", "th") and self._rows:
                self._rows[-1].append(text)
        elif re.fullmatch("h[1-6]", tag):
            self.blocks.append(Block("heading", text))
        elif tag in ("p", "code", "div"):
            self.blocks.append(Block("text", text))

    def handle_data(self, data: str) -> None:
        """Append text to the current block or cell."""
        self._text.append(data)


def _blocks(text: str) -> list[Block]:
    """Return the blocks of a page in HTML, or in Markdown with HTML in it."""
    from markdown_it import MarkdownIt

    is_markdown = _MARKDOWN.search(text) and text.lstrip()[:9].lower() != "<!doctype"
    page = _Page()
    page.feed(MarkdownIt("commonmark").enable("table").render(text) if is_markdown else text)
    return page.blocks


_SECTIONS = {
    "path parameters": "path",
    "query parameters": "query",
    "header parameters": "header",
    "body parameter": "body",
}
_TYPES: Mapping[str, Node] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "date": {"type": "string", "format": "date-time"},
    "object": {"type": "object"},
    "anytype": {},
}


def _parse_page(blocks: Iterable[Block]) -> dict[str, Any]:
    """Read the operations and objects of a page in the layout of Red Hat's API reference."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    name = section = ""
    operation: dict[str, Any] = {}
    for each in blocks:
        if each.kind == "heading":
            words = re.sub(r"^[\d.]+\s+", "", each.text)
            if words.lower() in _SECTIONS:
                section = _SECTIONS[words.lower()]
            elif re.fullmatch(r"@?[A-Za-z]\w*", words):
                name = words
        elif each.kind == "text":
            if found := re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) (/\S+)", each.text):
                operation = {"operationId": name, "parameters": [], "responses": {}}
                paths.setdefault(found[2], {})[found[1].lower()] = operation
        elif each.rows:
            head, *rows = ([cell.lower() for cell in each.rows[0]], *each.rows[1:])
            _read_table(head, rows, operation, section, schemas.setdefault(name, {}))
    schemas = {key: node for key, node in schemas.items() if node}
    return {"openapi": "3.0.3", "paths": paths, "components": {"schemas": schemas}} if paths or schemas else {}


def _read_table(
    head: list[str], rows: list[tuple[str, ...]], operation: dict[str, Any], section: str, schema: dict[str, Any]
) -> None:
    cells = [dict(zip(head, row, strict=False)) for row in rows]
    if head[:1] == ["field name"]:
        fields = {cell["field name"]: _schema_of_type(cell.get("type", ""), cell.get("format", "")) for cell in cells}
        required = [cell["field name"] for cell in cells if cell.get("required", "").upper() == "X"]
        schema |= {"type": "object", "properties": fields} | ({"required": required} if required else {})
    elif head[:1] == ["enum values"]:
        schema |= {"type": "string", "enum": [cell["enum values"] for cell in cells]}
    elif head[:1] == ["code"] and operation:
        for cell in cells:
            status = "default" if cell["code"] == "0" else cell["code"]
            media = {"application/json": {"schema": _schema_of_type(cell.get("datatype", ""))}}
            operation["responses"][status] = {"description": cell.get("message", ""), "content": media}
    elif head[:1] == ["name"] and operation:
        for cell in cells:
            needed = cell.get("required", "").upper() == "X"
            if section == "body":
                media = {"application/json": {"schema": _schema_of_type(cell.get("description", ""))}}
                operation["requestBody"] = {"required": needed, "content": media}
            else:  # the page does not give the types of parameters
                operation["parameters"].append({"name": cell["name"], "in": section, "required": needed})


def _schema_of_type(text: str, format: str = "") -> dict[str, Any]:
    """Return the schema of a type such as `String`, `List of StorageX`, `[StorageX]` or `Map of string`."""
    if found := re.fullmatch(r"List of (.+)|\[(.+)\]", text):
        return {"type": "array", "items": _schema_of_type(found[1] or found[2])}
    if found := re.fullmatch(r"Map of (.+)", text):
        return {"type": "object", "additionalProperties": _schema_of_type(found[1])}
    if text.lower() in _TYPES or not text:
        plain = dict(_TYPES.get(text.lower(), {}))
        return plain | ({"format": format} if re.fullmatch(r"[a-z][a-z0-9-]*", format) else {})
    return {"$ref": f"#/components/schemas/{text}"}
