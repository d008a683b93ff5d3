"""Delays: a number of seconds, or a random distribution."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from functools import partial

LONGEST_DELAY = 300.0
"""Greatest delay in seconds; longer random delays are cut to it."""
LARGEST_SIGMA = 20.0
"""Greatest SIGMA of a log-normal delay."""
DELAYS = "seconds, LOW..HIGH, exponential(MEAN), normal(MEAN,DEVIATION) or lognormal(MEDIAN,SIGMA)"

_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_DISTRIBUTIONS: Mapping[str, Callable[..., float]] = {
    _NUMBER: float,
    rf"{_NUMBER}\.\.{_NUMBER}": lambda low, high: random.uniform(float(low), float(high)),
    rf"exponential\({_NUMBER}\)": lambda mean: random.expovariate(1 / max(float(mean), 1e-9)),
    rf"normal\({_NUMBER}, *{_NUMBER}\)": lambda mean, sd: random.gauss(float(mean), float(sd)),
    rf"lognormal\({_NUMBER}, *{_NUMBER}\)": lambda median, sigma: (
        float(median) * random.lognormvariate(0, float(sigma))
    ),
}


def drawn(delay: str) -> float:
    """Draw the seconds of a delay.

    Raises:
        ValueError: the text is not a delay.
    """
    return min(max(distribution(delay)(), 0.0), LONGEST_DELAY)


def distribution(delay: str) -> Callable[[], float]:
    """Return a function that draws a delay.

    Raises:
        ValueError: the text is not a delay.
    """
    for pattern, draw in _DISTRIBUTIONS.items():
        if found := re.fullmatch(pattern, delay):
            if delay.startswith("lognormal") and float(found[2]) > LARGEST_SIGMA:
                raise ValueError(f"delay={delay}: the SIGMA {found[2]} is above {LARGEST_SIGMA:g}")
            if ".." in delay and float(found[1]) > float(found[2]):
                raise ValueError(f"delay={delay}: LOW is above HIGH; give {found[2]}..{found[1]}")
            return partial(draw, *found.groups())
    raise ValueError(f"delay={delay}: is not {DELAYS}")
