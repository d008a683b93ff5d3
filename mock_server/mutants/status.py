"""Answers with the wrong status or the wrong gRPC code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Response, request

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
)

if TYPE_CHECKING:
    from mock_server.central.errors import Refusal
    from mock_server.gateway.operations import Call, Handler
    from mock_server.sandboxes.central import Central
    from mock_server.web.app import MockCentral


def _status(name: str, summary: str, check: str, **settings: Any) -> Callable[[Mutate], Mutate]:
    return mutant(name, kind="status", check=check, summary=summary, **settings)


# -- of what went well -----------------------------------------------------------------------------------


def _succeeds_with(status: int, operations: tuple[str, ...], app: MockCentral) -> None:
    def changed(view: Callable[[], Response]) -> Response:
        response = view()
        if response.status_code == 200:
            response.status_code = status
            if status == 204:
                response.set_data(b"")
        return response

    responses(app, operations, changed)


_status("create-201", "A create answers 201", "create")(partial(_succeeds_with, 201, (CREATE,)))
_status("create-202", "A create answers 202", "create")(partial(_succeeds_with, 202, (CREATE,)))
_status("delete-204", "DELETE answers 204 without a body", "delete-answer")(partial(_succeeds_with, 204, (DELETE,)))
_status("put-204", "PUT answers 204 without a body", "update")(partial(_succeeds_with, 204, (PUT,)))
_status("patch-202", "PATCH answers 202", "update")(partial(_succeeds_with, 202, (PATCH,)))


@_status("list-nothing-404", "A list of nothing answers 404", "list-by-name")
def list_nothing_404(app: MockCentral) -> None:
    """Take an empty list for something missing."""

    def found(handler: Handler, central: Central, call: Call) -> bytes:
        answer = handler(central, call)
        if b"{" not in answer[1:]:
            raise refused(404, "no image integrations found", 5)
        return answer

    handled(app, (LIST,), found)


@_status("errors-200", "Errors answer status 200", "error-shape")
def errors_200(app: MockCentral) -> None:
    """Let the body tell."""

    def ok(original: Callable[..., Any], refusal: Refusal) -> Any:
        body, _, headers = original(refusal)
        return body, 200, headers

    around(app, "_refused", ok)


# -- of refusals -----------------------------------------------------------------------------------------


def _refuses_with(rule: str, changes: dict[str, Any], app: MockCentral) -> None:
    refusals(app, rule, **changes)


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
    ("not-json-500", "body-syntax", "A body that is no JSON answers 500", {"status": 500, "code": 13}),
    ("not-json-422", "body-syntax", "A body that is no JSON answers 422", {"status": 422}),
    ("wrong-type-500", "field-value", "A value of the wrong type answers 500", {"status": 500, "code": 2}),
    ("wrong-method-405", "method-not-allowed", "A wrong method answers 405", {"status": 405}),
    ("wrong-method-404", "method-not-allowed", "A wrong method answers 404", {"status": 404, "code": 5}),
    ("not-built-400", "docker-config-required", "A docker client that cannot be built answers 400", {"status": 400}),
    ("endpoint-403", "endpoint-not-local", "A loopback endpoint answers 403", {"status": 403, "code": 7}),
    ("code-zero", "name-required", "The code of a missing name is 0", {"code": 0}),
    ("code-unknown", "reconcile-needs-config", "The code of a refused update is 2", {"code": 2}),
    ("text-other", "delete-missing", "DELETE of a missing id tells another text", {"message": "not found"}),
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
def test_fails_200(app: MockCentral) -> None:
    """Let the body tell."""

    def ok(view: Callable[[], Response]) -> Response:
        response = view()
        response.status_code = 200
        return response

    responses(app, (TEST, TEST_UPDATED), ok)


@_status("redirect-trailing-slash", "A trailing slash is redirected", "id-required")
def redirect_trailing_slash(app: MockCentral) -> None:
    """Redirect as frameworks do."""

    def redirected(view: Callable[[], Response]) -> Response:
        if request.path.endswith("/"):
            return Response(b"", 308, {"Location": request.path.rstrip("/")})
        return view()

    responses(app, EVERY, redirected)


@_status("head-200", "HEAD answers 200", "method-not-allowed")
def head_200(app: MockCentral) -> None:
    """Answer HEAD as frameworks do."""

    def head(original: Callable[[], Any], *arguments: Any) -> Any:
        return Response(b"", 200) if request.method == "HEAD" else original(*arguments)

    around(app, "dispatch_request", head)


@_status("options-204", "OPTIONS answers 204 with the methods that are allowed", "method-not-allowed")
def options_204(app: MockCentral) -> None:
    """Answer OPTIONS as frameworks do."""

    def options(original: Callable[[], Any], *arguments: Any) -> Any:
        if request.method == "OPTIONS":
            return Response(b"", 204, {"Allow": "GET, POST, OPTIONS"})
        return original(*arguments)

    around(app, "dispatch_request", options)
