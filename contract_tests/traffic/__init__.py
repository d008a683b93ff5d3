"""Traffic of other clients, live or recorded, and its conformance to the contract.

Exchanges come from a file (`har`, `sources`) or the `proxy`, lose their credentials (`secrets`), are put in order and
judged (`judge`) against a model of the store that the traffic builds up (`follow`) and against the rules that a request
breaks whatever is stored (`rules`).
"""
