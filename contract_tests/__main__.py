"""``python -m contract_tests`` is ``central-contract``."""

from contract_tests.cli.main import main

main()
