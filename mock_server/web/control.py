"""The control calls, which inspect and change the running mock; described in `control.yaml`."""

from __future__ import annotations

import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from flask import Blueprint, Request, Response, request

from mock_server.central import protojson
from mock_server.central.errors import Refusal, Rules
from mock_server.central.integration import Integration
from mock_server.central.numbers import whole
from mock_server.central.registry_outcomes import OUTCOMES
from mock_server.central.registry_test_rules import of as registry_test_rule
from mock_server.contract import yaml_files
from mock_server.gateway.hosts import page_fault
from mock_server.gateway.instance import Instance
from mock_server.sandboxes.central import Central
from mock_server.sandboxes.sandboxes import Sandbox
from mock_server.settings import suggestion
from mock_server.simulation.fault_forms import from_json
from mock_server.simulation.har import har
from mock_server.simulation.request_journal import Filter, Journal
from mock_server.state import files as states
from mock_server.state import scenarios
from mock_server.state.memory import address
from mock_server.web.edge import current, json_answer
from mock_server.web.threads import CONTROL_CALLS as MOST_WAITING

if TYPE_CHECKING:
    from mock_server.web.app import MockCentral

PREFIX = "/__admin"
RULE = "control"
_FOR_ANYBODY = ("health", "certificateAuthority")
"""Calls without a token: probes have none, and a client should not send one before it trusts the server."""
LONGEST_WAIT = 60.0
"""Seconds."""
_SECONDS_BETWEEN_BATCHES = 0.05
"""A stream that woke up for each request would slow down a load test."""
_SECONDS_ALIVE = 15.0
"""Seconds after which an idle stream sends a keep-alive."""
_NUMBER = re.compile(r"[0-9]{1,18}")

Json = dict[str, Any]
AnySandbox = Sandbox[Instance]


@cache
def document() -> Json:
    """Read `control.yaml`."""
    found: Json = yaml_files.read(Path(__file__).with_name("control.yaml"))
    return found


def query_parameters(entry: Mapping[str, Any]) -> list[str]:
    """Return the names of the query parameters of a call."""
    known = document()["components"]["parameters"]
    found = [known[each["$ref"].rpartition("/")[2]] for each in entry.get("parameters", ())]
    return [each["name"] for each in found if each["in"] == "query"]


def refuse(status: int, text: str) -> Refusal:
    """Return the refusal of a control call, in Central's error shape."""
    codes = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 409: 9, 429: 8, 501: 12}
    return Refusal(RULE, status, codes[status], text)


def unknown_call(asked: Request) -> Refusal:
    """Return the refusal of an unknown control path or method, with a hint to the existing ones."""
    methods = getattr(asked.routing_exception, "valid_methods", None)
    if methods:
        return Refusal("method-not-allowed", 501, 12, f"{asked.path} accepts {', '.join(sorted(methods))}")
    return Refusal("unknown-route", 404, 5, f"{asked.path} is not a control call; GET {PREFIX}/openapi.json lists them")


def blueprint(app: MockCentral) -> Blueprint:
    """Return the blueprint of the calls that the settings of an app enable."""
    made = Blueprint("control", __name__, url_prefix=PREFIX)
    control = Control(app)
    for path, item in document()["paths"].items():
        for method, entry in item.items():
            id = entry["operationId"]
            if app.settings.control or id == "health":
                view = partial(control.called, id, entry, getattr(control, re.sub("([A-Z])", r"_\1", id).lower()))
                rule = path.replace("{", "<").replace("}", ">")
                made.add_url_rule(rule, id, view, methods=[method.upper()], provide_automatic_options=False)
    return made


class Control:
    """The calls of one app: `control.yaml` describes each, under the name of its method in camel case."""

    def __init__(self, app: MockCentral) -> None:
        self.app = app
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)

    def called(self, id: str, entry: Mapping[str, Any], call: Callable[..., Any], **values: Any) -> Response:
        """Answer a call by its method; `entry` is the call in `control.yaml`."""
        if not current().request.path.startswith(f"{PREFIX}/"):  # Flask matches //__admin like /__admin
            raise Rules(self.app.central.contract).refusal("unknown-route")
        if id not in _FOR_ANYBODY:
            self._check_page()
            self._check_token()
        this = current().sandbox
        known = query_parameters(entry)
        for name in request.args:
            if name not in known:
                raise refuse(400, f"?{name}: is not a parameter; known: {', '.join(known) or 'none'}")
        if "requestBody" in entry:
            values["sent"] = _body(entry)
        try:
            answer = call(this, **values)
        except ValueError as error:  # settings, scenarios, states, faults and mutants raise it for invalid input
            raise refuse(400, str(error)) from None
        return answer if isinstance(answer, Response) else json_answer(protojson.render(answer))

    def _check_page(self) -> None:
        """Refuse pages of other origins: browsers send their simple requests without asking."""
        headers, cors = current().request.headers, self.app.gateway.home.settings.cors
        fault = page_fault(request.host, headers.get("origin"), headers.get("sec-fetch-site"), cors)
        if fault:
            raise refuse(403, fault)

    def _check_token(self) -> None:
        token = self.app.settings.control_token
        if token is None:
            return
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent.encode(), token.encode()):
            raise refuse(401, "control calls require the control token: send Authorization: Bearer TOKEN")

    # -- the mock ---------------------------------------------------------------------------------

    def health(self, sandbox: AnySandbox) -> Json:
        settings = self.app.gateway.home.settings
        problem = sandbox.central.store.problem
        return {
            **({"status": "degraded", "problem": problem} if problem else {"status": "ok"}),
            "centralVersion": settings.central_version,
            "asDeployed": settings.as_deployed,
            "integrations": len(sandbox.central.store),
        }

    def reset(self, sandbox: AnySandbox) -> Json:
        sandbox.reset()
        return self.health(sandbox)

    def settings(self, _sandbox: AnySandbox) -> Json:
        settings = self.app.gateway.home.settings
        values = {each.name: getattr(settings, each.name) for each in fields(settings)}
        shown = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
        del shown["credentials"], shown["tls_ca"]
        shown["control_token"] = settings.control_token is not None
        shown["store"] = address(settings.store)
        shown["registry_tests"] = [each.shown() for each in settings.registry_tests]
        shown["faults"] = [each.shown() for each in settings.faults]
        return shown

    def certificate_authority(self, _sandbox: AnySandbox) -> Response:
        found = self.app.gateway.home.settings.tls_ca
        if found is None:
            raise refuse(404, "the mock has no certificate authority; serve --tls makes one")
        return Response(found, mimetype="application/x-pem-file")

    def document(self, _sandbox: AnySandbox) -> Json:
        return document()

    def contract(self, sandbox: AnySandbox) -> Json:
        return dict(sandbox.central.contract.document)

    # -- the journal ------------------------------------------------------------------------------

    def requests(self, sandbox: AnySandbox) -> Json:
        return {"requests": self._shown_requests(sandbox)}

    def requests_as_har(self, sandbox: AnySandbox) -> Json:
        return har(self._shown_requests(sandbox), f"{request.host_url.rstrip('/')}{current().request.prefix}")

    def _shown_requests(self, sandbox: AnySandbox) -> list[Json]:
        journal = _journal(sandbox)
        found = journal.found(self._filter())
        limit = _whole("limit", len(found))
        return [journal.shown(each) for each in found[max(len(found) - limit, 0) :]]

    def _filter(self) -> Filter:
        self.app.gateway.require_operation(request.args.get("operation", ""))
        return Filter.of({each.name: request.args[each.name] for each in fields(Filter) if each.name in request.args})

    def forget_requests(self, sandbox: AnySandbox) -> Json:
        _journal(sandbox).clear()
        return {}

    def count_requests(self, sandbox: AnySandbox) -> Json:
        return {"count": len(_journal(sandbox).found(self._filter()))}

    def wait_for_requests(self, sandbox: AnySandbox) -> Json:
        journal, wanted = _journal(sandbox), _whole("count", 1)
        timeout = _timeout()
        self._wait_or_refuse()
        try:
            found = journal.wait(self._filter(), wanted, timeout)
        finally:
            self._waiting.release()
        if len(found) < wanted:
            raise refuse(408, f"{len(found)} of {wanted} requests arrived within {timeout:g} seconds")
        return {"count": len(found), "requests": [journal.shown(each) for each in found]}

    def stream_requests(self, sandbox: AnySandbox) -> Response:
        journal = _journal(sandbox)
        since = _whole("since", 0)
        last = request.headers.get("Last-Event-ID", "")
        if _NUMBER.fullmatch(last):
            since = int(last)
        if since > journal.last:  # a number of an earlier journal: the server or the sandbox has restarted
            since = 0
        self._wait_or_refuse()
        current().is_streamed = True
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        answer = Response(_events(sandbox, journal, since), mimetype="text/event-stream", headers=headers)
        answer.call_on_close(self._waiting.release)  # a generator that was never started does not run its finally block
        return answer

    def _wait_or_refuse(self) -> None:
        """Take a place of a waiting call; the caller releases it."""
        if not self._waiting.acquire(blocking=False):
            raise refuse(429, f"the maximum of {MOST_WAITING} calls are already waiting or streaming")

    def metrics(self, _sandbox: AnySandbox) -> Response:
        try:
            text, mimetype = self.app.metrics.exposition()
        except ModuleNotFoundError:
            raise refuse(501, "metrics need the Prometheus client library: pip install '.[metrics]'") from None
        return Response(text, content_type=mimetype)

    # -- the state --------------------------------------------------------------------------------

    def scenarios(self, _sandbox: AnySandbox) -> Json:
        shown = ("name", "title", "number", "broken")
        return {
            "scenarios": [
                {name: getattr(each, name) for name in shown if getattr(each, name)}
                for each in scenarios.known().values()
            ]
        }

    def scenario(self, sandbox: AnySandbox) -> Json:
        return {"scenario": sandbox.scenario, "integrations": len(sandbox.central.store)}

    def switch_scenario(self, sandbox: AnySandbox, sent: Json) -> Json:
        sandbox.switch(sent["scenario"])
        return self.scenario(sandbox)

    def state(self, sandbox: AnySandbox) -> Json:
        return states.document(sandbox.central.store.integrations(), scenario=sandbox.scenario)

    def replace_state(self, sandbox: AnySandbox, sent: Json) -> Json:
        central = sandbox.central
        central.store.replace(states.checked(sent, central.contract, central.validator))
        return self.scenario(sandbox)

    def integrations(self, sandbox: AnySandbox) -> Json:
        return dict(json.loads(sandbox.central.store.list_answer()))

    def create_integration(self, sandbox: AnySandbox, sent: Json) -> Json:
        central = sandbox.central
        message = central.decoding.decoder.decode(central.contract.integration, protojson.render(sent))
        _, stored = central.service.create(message)
        return dict(json.loads(stored.answer))

    def update_integration(self, sandbox: AnySandbox, sent: Json, integration: str) -> Json:
        config, update_password = _update(sandbox.central, sent)
        sandbox.central.service.update({**config, "id": integration}, update_password=update_password)
        return dict(json.loads(sandbox.central.service.get(integration).answer))

    def test_integration(self, sandbox: AnySandbox, sent: Json) -> Json:
        config, update_password = _update(sandbox.central, sent)
        sandbox.central.service.test(config, update_password=update_password)
        return {}

    def remove_integration(self, sandbox: AnySandbox, integration: str) -> Json:
        store = sandbox.central.store
        with store.lock:
            if store.get(integration) is None:
                raise refuse(404, f"there is no integration {integration!r}; GET {PREFIX}/integrations lists them")
            store.remove(integration)
        return {"removed": 1}

    # -- fault, mutants, registries --------------------------------------------------------------

    def faults(self, sandbox: AnySandbox) -> Json:
        return {"faults": [each.json() for each in sandbox.faults.listed]}

    def add_fault(self, sandbox: AnySandbox, sent: Json) -> Json:
        fault = from_json(sent)
        self.app.gateway.require_operation(fault.operation)
        return sandbox.faults.add(fault).json()

    def remove_faults(self, sandbox: AnySandbox) -> Json:
        return {"removed": sandbox.faults.remove()}

    def remove_fault(self, sandbox: AnySandbox, number: str) -> Json:
        if not _NUMBER.fullmatch(number) or not sandbox.faults.remove(int(number)):
            raise refuse(404, f"there is no fault {number!r}; GET {PREFIX}/faults lists them")
        return {"removed": 1}

    def mutants(self, sandbox: AnySandbox) -> Json:
        from mock_server.mutants import all_mutants

        known = [{"name": each.name, "kind": each.kind, "summary": each.summary} for each in all_mutants().values()]
        return {"mutants": list(sandbox.mutants), "known": known}

    def plant_mutants(self, sandbox: AnySandbox, sent: Json) -> Json:
        sandbox.mutate(tuple(sent["mutants"]))
        return {"mutants": list(sandbox.mutants)}

    def registry_tests(self, sandbox: AnySandbox) -> Json:
        return {"rules": [each.shown() for each in sandbox.central.network.rules], "outcomes": list(OUTCOMES)}

    def replace_registry_tests(self, sandbox: AnySandbox, sent: Json) -> Json:
        sandbox.central.network.rules = [registry_test_rule(each) for each in sent["rules"]]
        return self.registry_tests(sandbox)

    # -- all sandboxes --------------------------------------------------------------------------------

    def usage(self, _sandbox: AnySandbox) -> Json:
        usage = self.app.gateway.usage
        if usage is None:
            raise refuse(404, "the mock keeps no usage counts; start it with serve --usage FILE")
        return usage.document()

    def sandboxes(self, _sandbox: AnySandbox) -> Json:
        return {"sandboxes": self.app.gateway.sandboxes.listed()}

    def free_sandboxes(self, _sandbox: AnySandbox) -> Json:
        return {"removed": self.app.gateway.sandboxes.remove()}

    def free_sandbox(self, _sandbox: AnySandbox, sandbox: str) -> Json:
        if not self.app.gateway.sandboxes.remove(sandbox):
            raise refuse(404, f"there is no sandbox {sandbox!r}; GET {PREFIX}/sandboxes lists them")
        return {"removed": 1}


def _body(entry: Mapping[str, Any]) -> Json:
    """Read the body of a call, and validate it against the document."""
    schema = entry["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    try:
        sent = states.read_json(request.get_data(cache=False))
    except states.StateError as error:
        text = str(error)
        raise refuse(400, text if text.startswith("$") else f"the body is not JSON: {text}") from None
    try:
        found = next(_validator(schema).iter_errors(sent), None)
    except ValueError:  # jsonschema-rs has a nesting limit
        raise refuse(400, "the body is nested too deeply") from None
    if found:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in found.instance_path)
        raise refuse(400, f"${place}: {_text(found)}{_hint(found)}")
    return dict(sent)


def _text(error: jsonschema_rs.ValidationError) -> str:
    """Return the text of an error, with every known value of an enum, of which the library names two."""
    known = getattr(error.kind, "options", None)
    return f"the value is not one of {', '.join(map(str, known))}" if known else error.message


def _hint(error: jsonschema_rs.ValidationError) -> str:
    """Return a hint to the known name that is most similar to an unknown one, or to the call that exports a state."""
    if getattr(error.kind, "property", None) in document()["components"]["schemas"]["State"]["required"]:
        return f"; export a state with GET {PREFIX}/state"
    unexpected = getattr(error.kind, "unexpected", None)
    if not unexpected:
        return ""
    place: Any = document()
    for step in error.schema_path[:-1]:
        place = place[step]
    return f"; {suggestion(unexpected[0], place['properties'])}"


@cache
def _validator(reference: str) -> jsonschema_rs.Draft202012Validator:
    # A refused value may be a credential, so messages omit it.
    schema = {"$ref": reference, "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, mask="the value")


def _journal(sandbox: AnySandbox) -> Journal:
    if sandbox.journal is None:
        raise refuse(409, "the mock keeps no journal: it was started with --journal 0")
    return sandbox.journal


def _update(central: Central, sent: Json) -> tuple[Integration, bool]:
    """Return the integration of an update, and whether its credentials replace the stored ones."""
    message = central.contract.message("V1UpdateImageIntegrationRequest")
    found = central.decoding.decoder.decode(message, protojson.render(sent))
    return found["config"], found["updatePassword"]


def _whole(name: str, default: int) -> int:
    try:
        return whole(f"?{name}", request.args.get(name, default))
    except ValueError as error:
        raise refuse(400, str(error)) from None


def _timeout() -> float:
    text = request.args.get("timeout", "5")
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text) or float(text) > LONGEST_WAIT:
        raise refuse(400, f"?timeout={text}: is not a number up to {LONGEST_WAIT:g}")
    return float(text)


def _events(sandbox: AnySandbox, journal: Journal, since: int) -> Iterator[bytes]:
    yield b"retry: 1000\n\n"
    while True:
        found = journal.wait(Filter(since=since), 1, _SECONDS_ALIVE)
        sandbox.used = time.monotonic()  # watching a sandbox counts as using it
        if not found:
            yield b": still here\n\n"
        for each in found:
            since = each.number
            yield b"id: %d\nevent: request\ndata: %b\n\n" % (since, protojson.render(journal.shown(each)))
        time.sleep(_SECONDS_BETWEEN_BATCHES)
