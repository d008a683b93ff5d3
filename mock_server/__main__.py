"""``python -m mock_server`` is ``mock-central``."""

from mock_server.cli.main import main

main()
