"""A write is asked for permission at the last moment: after its turn in the bucket, before each try."""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import HttpResponseError

from shared.reconcile.arm.arm_client import Arm, ArmError, Halted
from shared.reconcile.arm.token_buckets import Pacer
from tests.unit.reconcile.bodies import SUB
from tests.unit.reconcile.virtual import clock, run

PATH = f"/subscriptions/{SUB}/resourceGroups/rg"


class Response:
    """An answer with an empty body."""

    reason = "said so"
    content = b""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status_code = status
        self.headers = headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            answer: Any = self
            raise HttpResponseError(response=answer)


class Pipeline:
    """Stands for the app's clients: answers with these statuses in turn, then 200, and keeps when it was asked."""

    arm_endpoint = "https://arm.invalid"

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.sent: list[str] = []

    async def arm_in(self, tenant: str) -> Pipeline:
        return self

    async def send_request(self, request: Any, **options: Any) -> Response:
        assert options.keys() == {"read_timeout", "connection_timeout"}
        self.sent.append(request.method)
        return Response(self._statuses.pop(0) if self._statuses else 200, {"Retry-After": "10"})


def put(pipeline: Any, *, spent_after: float, earlier: int = 0, method: str = "PUT") -> tuple[str, Any]:
    """Send one request after `earlier` others have drunk from the bucket; when writing is over at `spent_after`."""

    async def work() -> tuple[str, Any]:
        time = clock()
        pacer = Pacer(time)
        for _ in range(earlier):
            await pacer.turn(SUB, write=method != "GET")
        start = time.monotonic()
        arm = Arm(pipeline, time, pacer, halt=lambda: "spent" if time.monotonic() - start >= spent_after else "")
        try:
            await arm.send("kind", method, PATH, "v")
        except (Halted, ArmError) as error:
            return type(error).__name__, error
        return "sent", arm.requests

    return run(work())


def test_a_write_within_its_time_is_sent_and_counted() -> None:
    pipeline = Pipeline()
    assert put(pipeline, spent_after=1) == ("sent", {"kind": 1})
    assert pipeline.sent == ["PUT"]


def test_a_write_whose_turn_comes_too_late_is_not_sent() -> None:
    pipeline = Pipeline()
    kind, halted = put(pipeline, spent_after=0.05, earlier=194)
    assert (kind, halted.sent, str(halted)) == ("Halted", False, "spent")
    assert pipeline.sent == []


def test_a_write_is_not_tried_again_after_its_time_and_may_have_happened() -> None:
    pipeline = Pipeline(503)
    kind, halted = put(pipeline, spent_after=5)
    assert (kind, halted.sent) == ("Halted", True)
    assert pipeline.sent == ["PUT"]


def test_a_read_may_always_be_sent() -> None:
    pipeline = Pipeline(503)
    assert put(pipeline, spent_after=0, method="GET") == ("sent", {"kind": 2})


def test_a_refusal_is_an_error_of_ours_with_its_status() -> None:
    kind, error = put(Pipeline(403), spent_after=1)
    assert (kind, error.status, error.not_registered) == ("ArmError", 403, False)
