from __future__ import annotations

import pytest

from shared.enrich.delivery.ingestion_status import Answer, Verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (204, Verdict.ACCEPTED),
        (200, Verdict.ACCEPTED),
        (202, Verdict.ACCEPTED),
        (400, Verdict.POISON),
        (401, Verdict.RENEW),
        (403, Verdict.OUTAGE),
        (404, Verdict.OUTAGE),
        (408, Verdict.RETRY),
        (413, Verdict.TOO_LARGE),
        (415, Verdict.POISON),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (502, Verdict.RETRY),
        (503, Verdict.RETRY),
        (504, Verdict.RETRY),
        (307, Verdict.RETRY),
        (0, Verdict.RETRY),
    ],
)
def test_every_status_has_one_meaning(status: int, verdict: Verdict) -> None:
    assert Answer(status).verdict is verdict


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(400), "refused"),
        (Answer(413), "too-large"),
        (Answer(401), "no-access"),
        (Answer(403), "no-access"),
        (Answer(404), "not-found"),
        (Answer(400, "InvalidStream"), "not-found"),
        (Answer(429), "throttled"),
        (Answer(500), "unavailable"),
        (Answer(0, "Timeout"), "unavailable"),
        (Answer(0, "NotConfigured", permanent=True), "not-configured"),
        (Answer(0, "NoToken"), "no-token"),
        (Answer(400, "InvalidRequestContent", systematic=True), "stream-refused"),
    ],
)
def test_every_refusal_has_a_reason_that_can_name_a_folder(answer: Answer, reason: str) -> None:
    assert answer.reason == reason
