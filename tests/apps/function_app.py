"""A small app that covers each rule of the host; every call adds a line of JSON to the file `RECORD_FILE`."""

import asyncio
import json
import os
import threading
import time
import typing

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def record(name: str, **facts: typing.Any) -> None:
    with open(os.environ["RECORD_FILE"], "a", encoding="utf-8") as file:  # noqa: PTH123 - one append a line
        file.write(json.dumps({"function": name, **facts}) + "\n")


@app.function_name("get_item")
@app.route("items/{name}", methods=["GET"])
async def get_item(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    found = {"route": dict(req.route_params), "query": dict(req.params), "url": req.url, "self": context.function_name}
    return func.HttpResponse(json.dumps(found), mimetype="application/json", headers={"ETag": '"1"'})


@app.function_name("put_item")
@app.route("items/{name}", methods=["PUT"])
def put_item(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body() + threading.current_thread().name.encode(), status_code=201)


@app.function_name("check_item")
@app.route("items/check", methods=["GET"])
def check_item(req: func.HttpRequest) -> str:
    return "checked"


@app.function_name("open_door")
@app.route("open", auth_level=func.AuthLevel.ANONYMOUS)
def open_door(req: func.HttpRequest) -> str:
    return "open"


@app.function_name("vault")
@app.route("vault", auth_level=func.AuthLevel.ADMIN)
def vault(req: func.HttpRequest) -> str:
    return "vault"


@app.function_name("broken")
@app.route("broken", auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest) -> str:
    raise RuntimeError("a secret word")


@app.function_name("slow")
@app.route("slow", auth_level=func.AuthLevel.ANONYMOUS)
async def slow(req: func.HttpRequest) -> str:
    await asyncio.sleep(600)
    return "late"


@app.function_name("tick")
@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    record("tick", past_due=timer.past_due)


@app.function_name("work")
@app.queue_trigger(arg_name="message", queue_name="%WORK_QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    record("work", text=text, dequeue_count=message.dequeue_count)
    if text == "bad":
        raise ValueError("bad work")


def take(name: str, events: typing.List[func.EventHubEvent], retries: int) -> None:
    bodies = [event.get_body().decode() for event in events]
    metadata = events[0].metadata or {}
    record(
        name,
        bodies=bodies,
        sequence_numbers=[event.sequence_number for event in events],
        offsets=[event.offset for event in events],
        keys=[event.partition_key for event in events],
        timed=all(event.enqueued_time is not None for event in events),
        partition=metadata["PartitionContext"]["PartitionId"],
        group=metadata["PartitionContext"]["ConsumerGroup"],
        retries=retries,
        started=time.monotonic(),
    )
    if any(body == "fail" for body in bodies) or (any(body == "fail twice" for body in bodies) and retries < 2):
        raise ValueError("bad events")


@app.function_name("plain_events")
@app.event_hub_message_trigger(
    arg_name="events", event_hub_name="%HUB%", connection="Hub", cardinality="many", data_type="binary"
)
async def plain_events(events: typing.List[func.EventHubEvent]) -> None:
    take("plain_events", events, 0)
    if any(event.get_body() == b"hang" for event in events):
        await asyncio.sleep(600)


@app.function_name("retried_events")
@app.event_hub_message_trigger(
    arg_name="events",
    event_hub_name="%HUB%",
    connection="Hub",
    consumer_group="second",
    cardinality="many",
    data_type="binary",
)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:01")
def retried_events(events: typing.List[func.EventHubEvent], context: func.Context) -> None:
    take("retried_events", events, context.retry_context.retry_count)
