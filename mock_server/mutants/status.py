"""Answers with the wrong status or the wrong gRPC code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mock_server.gateway.messages import Response
from mock_server.gateway.paths import clean_path
from mock_server.mutants import Mutate, mutant
from mock_server.mutants.tools import (
    CREATE,
    DELETE,
    EVERY,
    LIST,
    PATCH,
    PUT,
    TEST,
    TEST_UPDATED,
    around,
    handled,
    refusals,
    refused,
    responses,
    wrapped,
)

if TYPE_CHECKING:
    from mock_server.gateway.exchange import Exchange, Proceed
    from mock_server.gateway.instance import Instance


def _status(name: str, summary: str, check: str, **settings: Any) -> Callable[[Mutate], Mutate]:
    return mutant(name, kind="status", check=check, summary=summary, **settings)


# -- of what went well -----------------------------------------------------------------------------------


def _succeeds_with(status: int, operations: tuple[str, ...], mock: Instance) -> None:
    def changed(response: Response) -> Response:
        if response.status != 200:
            return response
        return Response(204) if status == 204 else response._replace(status=status)

    responses(mock, changed, operations)


_status("create-201", "A create answers 201", "create")(partial(_succeeds_with, 201, (CREATE,)))
_status("create-202", "A create answers 202", "create")(partial(_succeeds_with, 202, (CREATE,)))
_status("delete-204", "DELETE answers 204 without a body", "delete-answer")(partial(_succeeds_with, 204, (DELETE,)))
_status("put-204", "PUT answers 204 without a body", "update")(partial(_succeeds_with, 204, (PUT,)))
_status("patch-202", "PATCH answers 202", "update")(partial(_succeeds_with, 202, (PATCH,)))


@_status("list-nothing-404", "An empty list answers 404", "list-by-name")
def list_nothing_404(mock: Instance) -> None:
    """Take an empty list for something missing."""

    def found(proceed: Proceed, exchange: Exchange) -> Response:
        response = proceed(exchange)
        if b"{" not in response.bytes[1:]:
            raise refused(404, "no image integrations found", 5)
        return response

    handled(mock, (LIST,), found)


@_status("errors-200", "Errors answer status 200", "error-shape")
def errors_200(mock: Instance) -> None:
    """Let the body tell."""
    around(mock.errors, "answer", lambda original, refusal: original(refusal)._replace(status=200))


# -- of refusals -----------------------------------------------------------------------------------------


def _refuses_with(rule: str, changes: dict[str, Any], mock: Instance) -> None:
    refusals(mock, rule, **changes)


for _name, _rule, _summary, _changes in (
    ("get-missing-500", "get-missing", "GET of a missing id answers 500", {"status": 500, "code": 13}),
    ("get-missing-400", "get-missing", "GET of a missing id answers 400", {"status": 400, "code": 3}),
    ("get-missing-204", "get-missing", "GET of a missing id answers 204", {"status": 204, "body": b""}),
    ("get-missing-null", "get-missing", "GET of a missing id answers null", {"status": 200, "body": b"null"}),
    ("put-missing-500", "update-missing", "PUT of a missing id answers 500", {"status": 500, "code": 13}),
    ("delete-missing-410", "delete-missing", "DELETE of a missing id answers 410", {"status": 410}),
    ("name-taken-409", "name-unique", "A taken name answers 409", {"status": 409, "code": 6}),
    ("name-taken-500", "name-unique", "A taken name answers 500", {"status": 500, "code": 13}),
    ("no-category-422", "category-required", "A missing category answers 422", {"status": 422}),
    ("not-json-500", "body-syntax", "A body that is not JSON answers 500", {"status": 500, "code": 13}),
    ("not-json-422", "body-syntax", "A body that is not JSON answers 422", {"status": 422}),
    ("wrong-type-500", "field-value", "A value of the wrong type answers 500", {"status": 500, "code": 2}),
    ("wrong-method-405", "method-not-allowed", "A wrong method answers 405", {"status": 405}),
    ("wrong-method-404", "method-not-allowed", "A wrong method answers 404", {"status": 404, "code": 5}),
    ("not-built-400", "docker-config-required", "A docker client that cannot be built answers 400", {"status": 400}),
    ("endpoint-403", "endpoint-not-local", "A loopback endpoint answers 403", {"status": 403, "code": 7}),
    ("code-zero", "name-required", "The code of a missing name is 0", {"code": 0}),
    ("code-unknown", "reconcile-needs-config", "The code of a refused update is 2", {"code": 2}),
    ("text-other", "delete-missing", "DELETE of a missing id answers another message", {"message": "not found"}),
):  # fmt: skip
    _status(_name, _summary, _rule)(partial(_refuses_with, _rule, _changes))

_CODE_IS_STATUS = partial(_refuses_with, "get-missing", {"code": 404})
_status("code-is-status", "The code of a missing id is 404", "error-shape")(_CODE_IS_STATUS)
_NOT_BUILT_200 = partial(_refuses_with, "registry-type-known", {"status": 200})
_status("not-built-200", "An unknown type answers 200 with an error", "answer-schema")(_NOT_BUILT_200)

for _name, _rule, _summary, _changes in (
    ("read-401", "read-permission", "Reading without credentials answers 401", {"status": 401, "code": 16}),
    ("write-403", "credentials-missing", "Writing without credentials answers 403", {"status": 403, "code": 7}),
    ("read-only-401", "write-permission", "A read-only token that writes gets 401", {"status": 401, "code": 16}),
    ("read-only-404", "write-permission", "A read-only token that writes gets 404", {"status": 404, "code": 5}),
):  # fmt: skip
    _status(_name, _summary, _rule, auth=True)(partial(_refuses_with, _rule, _changes))


@_status("test-fails-200", "A test that fails answers 200 with an error", "test")
def test_fails_200(mock: Instance) -> None:
    """Let the body tell."""
    responses(mock, lambda response: response._replace(status=200), (TEST, TEST_UPDATED))


@_status("redirect-trailing-slash", "A trailing slash is redirected", "id-required")
def redirect_trailing_slash(mock: Instance) -> None:
    """Redirect as frameworks do."""

    def redirected(proceed: Proceed, exchange: Exchange) -> Response:
        path = exchange.request.path
        return Response(308, (("Location", path.rstrip("/")),)) if path.endswith("/") else proceed(exchange)

    handled(mock, EVERY, redirected)


@_status("head-200", "HEAD answers 200", "method-not-allowed")
def head_200(mock: Instance) -> None:
    """Answer HEAD as frameworks do."""
    _answered(mock, "HEAD", Response(200))


@_status("options-204", "OPTIONS answers 204 with the methods that are allowed", "method-not-allowed")
def options_204(mock: Instance) -> None:
    """Answer OPTIONS as frameworks do."""
    _answered(mock, "OPTIONS", Response(204, (("Allow", "GET, POST, OPTIONS"),)))


def _answered(mock: Instance, method: str, response: Response) -> None:
    def layer(proceed: Proceed, exchange: Exchange) -> Response:
        return response if exchange.request.method == method else proceed(exchange)

    wrapped(mock, layer, behind=clean_path)
