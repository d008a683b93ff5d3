"""Traffic of others, live or recorded, and what it says of Central.

Exchanges come in (`har`, `sources`, `proxy`), lose their secrets (`secrets`), are brought into order and judged
(`judge`) with a model that follows along (`follow`) and with the rules that a request breaks by itself (`rules`).
"""
