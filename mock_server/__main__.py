"""``python -m mock_server`` is ``mock-central``."""

from mock_server.cli import main

main()
