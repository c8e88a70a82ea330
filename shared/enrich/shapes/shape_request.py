"""Which shapes are asked for: where the records are, how many of them, and which names to show."""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = ("dead-letters", "oversize", "hub")
"""What could not be delivered, what was kept whole because its row had to be cut, and the newest events of the hub."""
MOST_RECORDS = 200
MOST_BYTES = 8_000_000
"""Of records together, the last one whole: some seconds of a processor."""
DEFAULT_GROUP = "$Default"


class ShapeRequestError(ValueError):
    """No such request can be answered; the message says why and what helps."""


@dataclass(frozen=True)
class ShapeRequest:
    """A request for the shapes of records.

    `source` is one of `SOURCES`; `day` is of blobs, as YYYY-MM-DD; `names` are names of members to show although they
    are not public; `group` is the consumer group to read the hub with.  Empty: every day, no name, `DEFAULT_GROUP`.
    """

    source: str
    day: str = ""
    names: tuple[str, ...] = ()
    most: int = MOST_RECORDS
    group: str = ""

    def check(self, of_trigger: str) -> None:
        """Refuse what means nothing for the source, and the consumer group that the trigger reads with.

        The trigger's readers hold each partition alone ("epoch"), so that the hub refuses a second one.

        Raises:
            ShapeRequestError: it is refused.
        """
        if self.source != "hub":
            if self.group:
                raise ShapeRequestError("a consumer group is for the hub alone: leave it out")
            return
        if self.day:
            raise ShapeRequestError("the hub has no days, and its newest events are shown: leave the day out")
        if (self.group or DEFAULT_GROUP).lower() == of_trigger.lower():
            raise ShapeRequestError(
                f"enrich_records reads the hub with the consumer group {of_trigger}, which takes no second reader: "
                "make another consumer group, and name it"
            )
