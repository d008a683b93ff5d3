"""Where two Centrals, or a Central and its mock, answer differently: ``python -m contract_tests.differential``.

It knows base URLs and the contract, nothing else. What it finds are classes, each with a minimal example.
"""
