"""The Logs Ingestion emulator accepts, refuses and bends what the documented service does."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import aiohttp
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.monitor.ingestion.aio import LogsIngestionClient

from local.certs import Certificates
from local.collection_rule import RateLimit
from local.http import CONTROL
from local.ingestion import MAX_BODY_BYTES, RULE_ID, Ingestion
from local.streams import MAX_FIELD_BYTES, Loss, Stream
from local.tokens import Principal, TokenAuthority
from local.workspace import Workspace
from shared.enrich.tables import BY_KIND, Column, Table

APP = Principal("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-00000000000a")
AUDIENCE = "https://monitor.azure.com"
SCORES = BY_KIND["SecureScore"]
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PATH = f"/dataCollectionRules/{RULE_ID}/streams/{SCORES.stream}"


class MintingCredential:
    """Tokens straight from the authority, for the genuine client."""

    def __init__(self, tokens: TokenAuthority) -> None:
        self._tokens = tokens

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(*self._tokens.mint(APP, scopes[0].removesuffix("/.default")))

    async def close(self) -> None:
        """Nothing is held."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""


@pytest.fixture
def tokens() -> TokenAuthority:
    return TokenAuthority()


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with Workspace() as running:
        yield running


@pytest.fixture
async def ingestion(
    workspace: Workspace, tokens: TokenAuthority, local_certs: Certificates
) -> AsyncIterator[Ingestion]:
    async with Ingestion(workspace, tokens, local_certs, publishers=[APP.object_id], now=lambda: NOW) as running:
        yield running


class Caller:
    """Posts bodies as they are given."""

    def __init__(self, ingestion: Ingestion, tokens: TokenAuthority, session: aiohttp.ClientSession) -> None:
        self.ingestion, self.tokens, self.session = ingestion, tokens, session

    async def post(
        self,
        body: Any,
        *,
        path: str = PATH,
        version: str | None = "2023-01-01",
        headers: dict[str, str] | None = None,
        audience: str = AUDIENCE,
    ) -> tuple[int, str, str]:
        """Status, error code and message of the answer."""
        token, _ = self.tokens.mint(APP, audience)
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | (headers or {})
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        query = {"api-version": version} if version else {}
        async with self.session.post(self.ingestion.endpoint + path, data=data, params=query, headers=sent) as answer:
            if answer.status == 204:
                return 204, "", ""
            error = (await answer.json())["error"]
            return answer.status, error["code"], error["message"]

    async def stored(self) -> list[dict[str, Any]]:
        """The rows of the table, every column that is not null."""
        result = await self.ingestion.workspace.sql(f'FROM "{SCORES.name}"')
        rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
        return [{name: value for name, value in row.items() if value is not None} for row in rows]


@pytest.fixture
async def caller(ingestion: Ingestion, tokens: TokenAuthority, local_certs: Certificates) -> AsyncIterator[Caller]:
    connector = aiohttp.TCPConnector(ssl=local_certs.client_context())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Caller(ingestion, tokens, session)


def row(**values: Any) -> dict[str, Any]:
    return {"TimeGenerated": NOW.isoformat(), "RecordKey": "k", **values}


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


class TestAccepted:
    async def test_the_genuine_client_stores_gzip_and_the_row_comes_out_typed(
        self, ingestion: Ingestion, tokens: TokenAuthority, caller: Caller
    ) -> None:
        values = row(CurrentScore=1.5, MaxScore=7, Weight=2**40, IsSnapshot=True, Tags={"env": ["ü"]}, Cloud="Azure")
        body = gzip.compress(json.dumps([values]).encode())
        async with LogsIngestionClient(ingestion.endpoint, MintingCredential(tokens)) as client:
            await client.upload(RULE_ID, SCORES.stream, io.BytesIO(body))
        (stored,) = await caller.stored()
        assert stored["CurrentScore"] == 1.5
        assert (stored["MaxScore"], stored["Weight"], stored["IsSnapshot"]) == (7, 2**40, True)
        assert json.loads(stored["Tags"]) == {"env": ["ü"]}
        assert stored["TimeGenerated"] == naive(NOW)
        assert (stored["Type"], stored["_TimeReceived"]) == (SCORES.name, naive(NOW))
        assert not ingestion.losses

    async def test_plain_json_is_stored_too_and_every_body_is_recorded(self, caller: Caller) -> None:
        assert await caller.post([row(), row()]) == (204, "", "")
        (body,) = caller.ingestion.stored
        assert (body.arrived, body.stream, body.rows) == (NOW, SCORES.stream, 2)
        assert body.raw_bytes == body.wire_bytes == len(body.body)
        assert json.loads(body.body) == [row(), row()]

    async def test_the_limit_itself_is_accepted(self, caller: Caller) -> None:
        rows = [row(DisplayName="x" * 60_000) for _ in range(17)]
        room = MAX_BODY_BYTES - len(json.dumps(rows))
        rows[-1]["ScoreName"] = "y" * (room - len(', "ScoreName": ""'))
        body = json.dumps(rows).encode()
        assert len(body) == MAX_BODY_BYTES
        assert (await caller.post(body))[0] == 204


class TestRefused:
    async def test_a_missing_api_version(self, caller: Caller) -> None:
        assert (await caller.post([], version=None))[:2] == (400, "MissingApiVersionParameter")

    async def test_an_unknown_api_version(self, caller: Caller) -> None:
        assert (await caller.post([], version="2020-01-01"))[:2] == (400, "UnsupportedApiVersion")

    async def test_no_token(self, caller: Caller) -> None:
        assert (await caller.post([], headers={"Authorization": ""}))[:2] == (401, "AuthenticationFailed")

    async def test_a_token_for_another_audience(self, caller: Caller) -> None:
        answer = await caller.post([], audience="https://management.azure.com")
        assert answer[:2] == (401, "InvalidAuthenticationTokenAudience")

    async def test_a_forged_token(self, caller: Caller) -> None:
        forged, _ = TokenAuthority().mint(APP, AUDIENCE)
        answer = await caller.post([], headers={"Authorization": f"Bearer {forged}"})
        assert answer[:2] == (401, "InvalidAuthenticationToken")

    async def test_an_expired_token(self, caller: Caller) -> None:
        expired, _ = caller.tokens.mint(APP, AUDIENCE, lifetime=-1)
        answer = await caller.post([], headers={"Authorization": f"Bearer {expired}"})
        assert answer[:2] == (401, "ExpiredAuthenticationToken")

    async def test_a_principal_without_the_role_on_the_rule(self, caller: Caller) -> None:
        caller.ingestion.publishers.clear()
        assert (await caller.post([row()]))[:2] == (403, "OperationFailed")
        caller.ingestion.publishers.add(APP.object_id)
        assert (await caller.post([row()]))[0] == 204

    async def test_an_unknown_rule(self, caller: Caller) -> None:
        answer = await caller.post([], path=f"/dataCollectionRules/dcr-0/streams/{SCORES.stream}")
        assert answer[:2] == (404, "NotFound")

    async def test_an_unknown_stream(self, caller: Caller) -> None:
        answer = await caller.post([], path=f"/dataCollectionRules/{RULE_ID}/streams/Custom-Nothing_CL")
        assert answer[:2] == (400, "InvalidStream")

    @pytest.mark.parametrize(
        "body",
        [
            b"[{",
            b"",
            b'{"TimeGenerated": 1}',
            b"[1]",
            b"[null]",
            b'"rows"',
            b'[{"RecordKey": "\xff"}]',
            b'[{"Raw": {,}}]',
        ],
        ids=["cut short", "empty", "an object", "numbers", "null", "a string", "not UTF-8", "broken inside a value"],
    )
    async def test_what_is_not_a_json_array_of_objects(self, caller: Caller, body: bytes) -> None:
        assert (await caller.post(body))[:2] == (400, "InvalidRequestContent")
        assert not caller.ingestion.stored

    async def test_a_body_that_says_gzip_and_is_not(self, caller: Caller) -> None:
        answer = await caller.post([row()], headers={"Content-Encoding": "gzip"})
        assert answer[:2] == (400, "InvalidRequestContent")

    async def test_gzip_that_ends_too_early(self, caller: Caller) -> None:
        cut = gzip.compress(json.dumps([row()]).encode())[:-9]
        answer = await caller.post(cut, headers={"Content-Encoding": "gzip"})
        assert answer[:2] == (400, "InvalidRequestContent")

    async def test_more_than_1_mb_on_the_wire(self, caller: Caller) -> None:
        status, code, message = await caller.post(b" " * (MAX_BODY_BYTES + 1))
        assert (status, code) == (413, "ContentLengthLimitExceeded")
        assert message.startswith("Maximum allowed content length: 1048576 bytes (1 MB)")

    async def test_more_than_1_mb_before_compression(self, caller: Caller) -> None:
        body = gzip.compress(b"[" + b" " * MAX_BODY_BYTES + b"]")
        assert len(body) < 10_000
        assert (await caller.post(body, headers={"Content-Encoding": "gzip"}))[0] == 413

    async def test_more_requests_than_the_rule_takes_in_a_minute(self, caller: Caller) -> None:
        caller.ingestion.records.limit = RateLimit(requests=1)
        assert (await caller.post([row()]))[0] == 204
        assert (await caller.post([row()]))[:2] == (429, "TooManyRequests")

    async def test_throttling_tells_the_genuine_client_when_to_come_back(
        self, ingestion: Ingestion, tokens: TokenAuthority
    ) -> None:
        ingestion.records.limit = RateLimit(bytes=1)
        async with LogsIngestionClient(ingestion.endpoint, MintingCredential(tokens), retry_total=0) as client:
            with pytest.raises(HttpResponseError) as refused:
                await client.upload(RULE_ID, SCORES.stream, [row()])
        assert refused.value.status_code == 429
        headers = getattr(refused.value.response, "headers")  # noqa: B009 - its base type declares none
        assert headers["Retry-After"] == str(60 - NOW.second)


class TestBentBehindA204:
    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("DisplayName", 5),
            ("MaxScore", "5"),
            ("MaxScore", 2**31),
            ("Weight", 1.5),
            ("CurrentScore", "1.5"),
            ("IsSnapshot", "true"),
            ("EventTime", "yesterday"),
            ("EventTime", 1700000000),
        ],
    )
    async def test_a_value_of_another_type_becomes_null(self, caller: Caller, column: str, value: object) -> None:
        assert (await caller.post([row(**{column: value}), row()]))[0] == 204
        stored = await caller.stored()
        assert len(stored) == 2
        assert column not in stored[0]
        assert caller.ingestion.losses == {Loss(SCORES.name, column, "type"): 1}

    @pytest.mark.parametrize(
        ("column", "reason"),
        [("Nowhere", "undeclared"), ("displayname", "undeclared"), ("TenantId", "reserved"), ("id", "reserved")],
    )
    async def test_columns_that_are_not_declared_are_dropped(self, caller: Caller, column: str, reason: str) -> None:
        assert (await caller.post([row(**{column: "x"})]))[0] == 204
        (stored,) = await caller.stored()
        assert "x" not in stored.values()
        assert caller.ingestion.losses == {Loss(SCORES.name, column, reason): 1}

    async def test_null_and_absent_are_no_loss(self, caller: Caller) -> None:
        assert (await caller.post([{"TimeGenerated": NOW.isoformat(), "DisplayName": None, "Tags": None}]))[0] == 204
        (stored,) = await caller.stored()
        assert set(stored) == {"TimeGenerated", "TenantId", "Type", "_TimeReceived"}
        assert not caller.ingestion.losses

    async def test_a_field_ends_at_64_kb_of_utf_8(self, caller: Caller) -> None:
        assert (await caller.post([row(DisplayName="é" * 40_000, ScoreName="a" * MAX_FIELD_BYTES)]))[0] == 204
        (stored,) = await caller.stored()
        assert stored["DisplayName"] == "é" * (MAX_FIELD_BYTES // 2)
        assert len(stored["ScoreName"]) == MAX_FIELD_BYTES
        assert caller.ingestion.losses == {Loss(SCORES.name, "DisplayName", "truncated"): 1}

    async def test_a_dynamic_value_cut_at_64_kb_is_only_text_after_that(self, caller: Caller) -> None:
        assert (await caller.post([row(Raw={"long": "z" * MAX_FIELD_BYTES})]))[0] == 204
        (stored,) = await caller.stored()
        assert json.loads(stored["Raw"]).startswith('{"long": "zzz')
        assert caller.ingestion.losses == {Loss(SCORES.name, "Raw", "truncated"): 1}

    @pytest.mark.parametrize(
        ("offset", "kept"),
        [
            (timedelta(days=-2), True),
            (timedelta(days=1), True),
            (timedelta(days=-2, seconds=-1), False),
            (timedelta(days=1, seconds=1), False),
        ],
        ids=["two days old", "a day ahead", "older", "further ahead"],
    )
    async def test_time_generated_outside_its_window_becomes_the_time_of_arrival(
        self, caller: Caller, offset: timedelta, kept: bool
    ) -> None:
        sent = NOW + offset
        assert (await caller.post([row(TimeGenerated=sent.isoformat(), EventTime=sent.isoformat())]))[0] == 204
        (stored,) = await caller.stored()
        assert stored["TimeGenerated"] == naive(sent if kept else NOW)
        assert stored["EventTime"] == naive(sent)
        assert caller.ingestion.losses == ({} if kept else {Loss(SCORES.name, "TimeGenerated", "time"): 1})

    async def test_time_generated_is_added_where_it_is_absent(self, caller: Caller) -> None:
        assert (await caller.post([{"RecordKey": "k"}]))[0] == 204
        assert [stored["TimeGenerated"] for stored in await caller.stored()] == [naive(NOW)]

    async def test_times_are_read_with_any_offset_and_seven_digits(self, caller: Caller) -> None:
        texts = ["2026-03-04T07:06:07.1234567+02:00", "2026-03-04T05:06:07", "2026-03-04"]
        assert (await caller.post([row(EventTime=text) for text in texts]))[0] == 204
        assert [stored["EventTime"] for stored in await caller.stored()] == [
            datetime(2026, 3, 4, 5, 6, 7, 123457),  # noqa: DTZ001 - the workspace keeps UTC
            datetime(2026, 3, 4, 5, 6, 7),  # noqa: DTZ001
            datetime(2026, 3, 4),  # noqa: DTZ001
        ]

    async def test_a_share_of_rows_can_be_lost_after_the_204(self, caller: Caller) -> None:
        behaviour = caller.ingestion.endpoint + CONTROL + "/behaviour"
        async with caller.session.put(behaviour, json={"dropShare": 0.25}) as answer:
            assert answer.status == 200
        assert (await caller.post([row() for _ in range(1000)]))[0] == 204
        stored = len(await caller.stored())
        assert 700 <= stored <= 800
        assert caller.ingestion.rows == 1000
        assert caller.ingestion.losses == {Loss(SCORES.name, "", "dropped row"): 1000 - stored}

    async def test_losses_can_be_read_over_the_wire(self, caller: Caller) -> None:
        await caller.post([row(MaxScore="x")])
        async with caller.session.get(caller.ingestion.endpoint + CONTROL + "/losses") as answer:
            assert await answer.json() == [{"table": SCORES.name, "column": "MaxScore", "reason": "type", "count": 1}]


class TestFaults:
    async def test_an_answer_can_be_lost_after_the_body_was_stored(self, caller: Caller) -> None:
        caller.ingestion.faults.add("drop_after", times=1)
        with pytest.raises(aiohttp.ClientError):
            await caller.post([row()])
        assert len(await caller.stored()) == 1

    async def test_or_before(self, caller: Caller) -> None:
        caller.ingestion.faults.add("drop_before", times=1)
        with pytest.raises(aiohttp.ClientError):
            await caller.post([row()])
        assert await caller.stored() == []

    async def test_tokens_can_expire_under_the_genuine_client(
        self, ingestion: Ingestion, tokens: TokenAuthority
    ) -> None:
        async with LogsIngestionClient(ingestion.endpoint, MintingCredential(tokens)) as client:
            await client.upload(RULE_ID, SCORES.stream, [row()])
            tokens.revoke_all()
            with pytest.raises(HttpResponseError, match="ExpiredAuthenticationToken"):
                await client.upload(RULE_ID, SCORES.stream, [row()])


class TestStreamDeclarations:
    @pytest.mark.parametrize(
        "column",
        [
            Column("Type", "string", "Reserved."),
            Column("1st", "string", "Begins with a digit."),
            Column("A" * 46, "string", "Too long."),
            Column("With-Dash", "string", "A character that is not allowed."),
            Column("Id", "guid", "No type of a stream."),  # type: ignore[arg-type] # that is the point
        ],
        ids=lambda column: column.name,
    )
    def test_columns_that_azure_refuses_are_refused(self, column: Column) -> None:
        with pytest.raises(ValueError, match="is no"):
            Stream(Table("Wrong_CL", (column,), "Wrong", "A wrong table."))
