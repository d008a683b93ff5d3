"""Answers with the wrong status or the wrong gRPC code."""

from __future__ import annotations

from functools import partial

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Response
from mock_server.gateway.paths import clean_path
from mock_server.mutants import mutant, tools
from mock_server.mutants.tools import CREATE, DELETE, EVERY, LIST, PATCH, PUT, TEST, TEST_UPDATED

_status = partial(mutant, kind="status")


# -- successes -----------------------------------------------------------------------------------


def _succeeds_with(mock: Instance, status: int, operation: str) -> None:
    def changed(response: Response) -> Response:
        if response.status != 200:
            return response
        return Response(204) if status == 204 else response._replace(status=status)

    tools.responses(mock, changed, (operation,))


_status("create-201", "A create answers 201", "create")(_succeeds_with, 201, CREATE)
_status("create-202", "A create answers 202", "create")(_succeeds_with, 202, CREATE)
_status("delete-204", "DELETE answers 204 without a body", "delete-answer")(_succeeds_with, 204, DELETE)
_status("put-204", "PUT answers 204 without a body", "update")(_succeeds_with, 204, PUT)
_status("patch-202", "PATCH answers 202", "update")(_succeeds_with, 202, PATCH)


@_status("list-nothing-404", "An empty list answers 404", "list-by-name")
@tools.answering(LIST)
def list_nothing_404(proceed: Proceed, exchange: Exchange) -> Response:
    response = proceed(exchange)
    if b"{" not in response.bytes[1:]:
        raise tools.refused(404, "no image integrations found", 5)
    return response


_status("errors-200", "Errors have status 200", "error-shape")(
    tools.around, "errors.answer", lambda original, refusal: original(refusal)._replace(status=200)
)


# -- refusals -----------------------------------------------------------------------------------------


for _name, _rule, _summary, _changes in (
    ("get-missing-500", "get-missing", "GET of an unknown id answers 500", {"status": 500, "code": 13}),
    ("get-missing-400", "get-missing", "GET of an unknown id answers 400", {"status": 400, "code": 3}),
    ("get-missing-204", "get-missing", "GET of an unknown id answers 204", {"status": 204, "body": b""}),
    ("get-missing-null", "get-missing", "GET of an unknown id answers with null", {"status": 200, "body": b"null"}),
    ("put-missing-500", "update-missing", "PUT of an unknown id answers 500", {"status": 500, "code": 13}),
    ("delete-missing-410", "delete-missing", "DELETE of an unknown id answers 410", {"status": 410}),
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
    ("name-missing-code-0", "name-required", "The error for a missing name has code 0", {"code": 0}),
    ("reconcile-code-2", "reconcile-needs-config", "The error for a missing config has code 2", {"code": 2}),
    ("delete-missing-text", "delete-missing", "DELETE of an unknown id has another message", {"message": "not found"}),
):  # fmt: skip
    _status(_name, _summary, _rule)(tools.refusals, _rule, **_changes)

_status("get-missing-code-404", "The error for an unknown id has code 404", "error-shape")(
    tools.refusals, "get-missing", code=404
)
_status("unknown-type-200", "An unknown type answers 200 with an error", "answer-schema")(
    tools.refusals, "registry-type-known", status=200
)

for _name, _rule, _summary, _changes in (
    ("read-401", "read-permission", "Reading without credentials answers 401", {"status": 401, "code": 16}),
    ("write-403", "credentials-missing", "Writing without credentials answers 403", {"status": 403, "code": 7}),
    ("read-only-401", "write-permission", "A read-only token that writes gets 401", {"status": 401, "code": 16}),
    ("read-only-404", "write-permission", "A read-only token that writes gets 404", {"status": 404, "code": 5}),
):  # fmt: skip
    _status(_name, _summary, _rule, auth=True)(tools.refusals, _rule, **_changes)


_status("test-fails-200", "A test that fails answers 200 with an error", "test")(
    tools.responses, lambda response: response._replace(status=200), (TEST, TEST_UPDATED)
)


@_status("redirect-trailing-slash", "Redirects a path with a trailing slash", "id-required")
@tools.answering(*EVERY)
def redirect_trailing_slash(proceed: Proceed, exchange: Exchange) -> Response:
    path = exchange.request.path
    return Response(308, (("Location", path.rstrip("/")),)) if path.endswith("/") else proceed(exchange)


def _answered(mock: Instance, method: str, response: Response) -> None:
    def layer(proceed: Proceed, exchange: Exchange) -> Response:
        return response if exchange.request.method == method else proceed(exchange)

    tools.wrapped(mock, layer, behind=clean_path)


_status("head-200", "HEAD answers 200", "method-not-allowed")(_answered, "HEAD", Response(200))
_status("options-204", "OPTIONS answers 204 with the allowed methods", "method-not-allowed")(
    _answered, "OPTIONS", Response(204, (("Allow", "GET, POST, OPTIONS"),))
)
