"""Traffic of other clients, live or recorded, and its conformance to the contract.

Exchanges come from a file (`har`, `sources`) or the `proxy`, lose their credentials (`secrets`) and are put in order
(`judge`). `judgement` judges one exchange: its form (`answers`), and as a `case` of an operation (`reads`, `writes`)
against a model of the store that the traffic builds up (`follow`). `refusals` compares an answer with the rules that
the request breaks, some of them whatever is stored (`rules`). `record` has the outcomes.
"""
