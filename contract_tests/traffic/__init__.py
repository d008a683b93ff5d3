"""Traffic of other clients, live or recorded, and its conformance to the contract.

Exchanges come from a file (`har`, `sources`) or the `proxy`, lose their credentials (`secrets`) and are put in order
(`judge`). Each is a `case`: its request is read (`parsing`) and judged against a model of the store that the traffic
builds up (`follow`), and against the rules that a request breaks whatever is stored (`rules`). `record` has the
outcomes.
"""
