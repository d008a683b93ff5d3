"""google.protobuf.Timestamp as protojson reads and writes it.

A time is stored as the text that answers show. Go's ``time.Parse(time.RFC3339Nano, …)`` is a
little wider than RFC 3339 (an hour of one digit, a comma before the fraction, an offset of
24:60), and protojson a little narrower (protobuf-go ``encoding/protojson/well_known_types.go``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d+))?(?:Z|(?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>\d\d))",
    re.ASCII,
)


class TimestampRangeError(ValueError):
    """A time before the year 1 or after the year 9999."""


def normalise(text: str) -> str:
    """Return a time in UTC with 0, 3, 6 or 9 digits of a second.

    Raises:
        TimestampRangeError: the time is outside the years 1 to 9999.
        ValueError: the text is not a time.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year = int(match["year"])
    hours, minutes = int(match["hours"] or 0), int(match["minutes"] or 0)
    fraction = match["fraction"] or ""
    # protojson looks for the point of the fraction only; a comma hides the tenth digit from it.
    if hours > 24 or minutes > 60 or (len(fraction) > 9 and "." in text):
        raise ValueError(text)
    # The year 0 is a leap year for Go and unknown to Python; 2000 stands in to check the day.
    moment = datetime(
        year or 2000,
        int(match["month"]),
        int(match["day"]),
        int(match["hour"]),
        int(match["minute"]),
        int(match["second"]),
        tzinfo=UTC,
    )
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        moment = moment + offset if match["sign"] == "-" else moment - offset
    except OverflowError:
        raise TimestampRangeError(text) from None
    if year == 0:
        if moment.year != 2001:
            raise TimestampRangeError(text)
        moment = moment.replace(year=1)
    nanos = fraction[:9].ljust(9, "0")
    while nanos.endswith("000"):
        nanos = nanos[:-3]
    return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + (f".{nanos}" if nanos else "") + "Z"
