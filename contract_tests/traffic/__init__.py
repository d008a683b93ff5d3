"""Traffic of other clients, live or recorded, and its conformance to the contract.

Exchanges come from a file (`har`, `sources`) or the `proxy`, lose their credentials (`secrets`) and are put in order
(`judge`). `judgement` judges one exchange: its form (`answers`), and as a `case` of an operation (`reads`, `writes`)
against a model of the store that the traffic builds up (`follow`). `rules` and `due` have the rules that a request
breaks, `refusals` compares them with the answer, and `record` has the outcomes.
"""
