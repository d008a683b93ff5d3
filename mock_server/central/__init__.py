"""Central's own behaviour: protobuf JSON, credentials, rules, registry tests, texts, answers.

No HTTP, no stores (see `state`), and no lists that belong in the contract.
"""
