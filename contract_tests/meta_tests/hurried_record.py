"""`mock-central` with a timeout of one second for `record`."""

from mock_server.cli import record
from mock_server.cli.main import main

if __name__ == "__main__":
    setattr(record, "_TIMEOUT", 1.0)  # noqa: B010 (private)
    main(prog_name="mock-central")
