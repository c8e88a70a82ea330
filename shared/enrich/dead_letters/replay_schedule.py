"""When a dead letter is tried again, and when it is parked."""

from __future__ import annotations

from datetime import timedelta

from shared.enrich.dead_letters.dead_letter_format import Letter

FIRST_WAIT = timedelta(minutes=5)


LONGEST_WAIT = timedelta(hours=6)  # between two replays of what was refused


LONGEST_OUTAGE_WAIT = timedelta(minutes=30)  # between two replays of what met an outage


def wait(letter: Letter) -> timedelta:
    """How long to leave a letter alone: doubled by each replay that failed."""
    longest = LONGEST_OUTAGE_WAIT if letter.outage else LONGEST_WAIT
    failures = letter.outages if letter.outage else letter.replays
    return timedelta() if failures == 0 else min(longest, FIRST_WAIT * 2 ** min(failures - 1, 16))
