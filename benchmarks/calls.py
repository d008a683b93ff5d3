"""Count how many functions of the mock one create calls, in process.

It counts calls of functions in `mock_server`, including methods and comprehensions, for one warm create through the
WSGI callable with its test skipped. `--show` prints the calls; `--most N` exits with 1 if there are more.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import mock_server
from benchmarks.bare import PATH
from benchmarks.hot_paths import _start, environ
from benchmarks.load import integration
from mock_server import Settings, create_app

_OURS = str(Path(mock_server.__file__).parent)
_WARM_UP = 5


class Call(NamedTuple):
    """One call: its depth, module and function."""

    depth: int
    module: str
    function: str


def calls_of_a_create() -> list[Call]:
    """Trace one create."""
    app = create_app(Settings(empty=True))
    requests = (environ("POST", PATH, json.dumps(integration(number)).encode()) for number in itertools.count())
    for request in itertools.islice(requests, _WARM_UP):
        b"".join(app(request, _start))
    found: list[Call] = []
    depth = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal depth
        if not frame.f_code.co_filename.startswith(_OURS):
            return
        if event == "call":
            module = Path(frame.f_code.co_filename).relative_to(_OURS).with_suffix("")
            found.append(Call(depth, ".".join(module.parts), frame.f_code.co_qualname))
            depth += 1
        elif event == "return":
            depth -= 1

    request = next(requests)
    sys.setprofile(trace)
    try:
        b"".join(app(request, _start))
    finally:
        sys.setprofile(None)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--show", action="store_true", help="print each call, indented by its depth")
    parser.add_argument("--most", type=int, metavar="N", help="end with 1 where there are more than N calls")
    options = parser.parse_args()
    calls = calls_of_a_create()
    if options.show:
        for each in calls:
            print(f"{'  ' * each.depth}{each.module}.{each.function}")
    modules, depth = len({each.module for each in calls}), max(each.depth for each in calls) + 1
    print(f"{len(calls)} calls in {modules} modules, {depth} deep")
    return int(options.most is not None and len(calls) > options.most)


if __name__ == "__main__":
    sys.exit(main())
