"""Compare the answers of two Centrals, or of a Central and its mock: ``python -m contract_tests.differential``.

It knows base URLs and the contract, nothing else. It reports classes of differences, each with a minimal example.
"""
