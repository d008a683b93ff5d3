"""Targets of grpc-go."""

import pytest

from mock_server.golang.grpc import Target, target
from mock_server.golang.url import NEWEST


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scanner.test:8443", Target("passthrough", "scanner.test:8443")),
        ("dns:///scanner.test", Target("dns", "scanner.test")),
        ("unix:///run/scanner", Target("unix", "/run/scanner")),
        ("unix:run/scanner", Target("unix", "run/scanner")),
    ],
)
def test_only_the_path_of_a_socket_keeps_its_slash(text, expected):
    assert target(text, NEWEST) == expected
