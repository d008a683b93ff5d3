"""Every group of requests whose answers are recorded."""

from itertools import chain

from . import modes, rules, shapes, vectors
from .conversation import Group

GROUPS: dict[str, Group] = {}
for each in chain(vectors.groups(), rules.groups(), shapes.groups(), modes.groups()):
    assert each.name not in GROUPS, each.name
    GROUPS[each.name] = each
