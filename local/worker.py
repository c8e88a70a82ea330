"""Drives an app through the genuine Azure Functions Python worker, `azure-functions-runtime`.

It runs inside the worker's own environment, so it imports nothing of this project: `python worker.py APP_FOLDER`
reads a JSON list of invocations and prints what was indexed and what each invocation gave.  The worker only builds
gRPC messages and reads their attributes, so plain objects take their place.  Run it with `-P`, or its neighbours
`http.py` and others hide modules of the standard library.
"""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any


class Message:
    """A message with whatever fields it is given; one that was not given is None."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class _Kind(type):
    """A class of messages whose nested kinds come into being when they are asked for."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = _Kind(name, (Message,), {})
        setattr(cls, name, kind)
        return kind


class Protos:
    """Stands in for the generated gRPC module."""

    def __init__(self) -> None:
        self.BindingInfo = type("BindingInfo", (Message,), {"in": 0, "out": 1, "inout": 2, "undefined": 0})

    def __getattr__(self, name: str) -> Any:
        kind = _Kind(name, (Message,), {})
        setattr(self, name, kind)
        return kind


class Typed:
    """A TypedData message with one field set."""

    def __init__(self, kind: str, value: Any) -> None:
        self._kind = kind
        setattr(self, kind, value)

    def WhichOneof(self, _: str) -> str:  # noqa: N802 - the name in protobuf
        """The field that is set."""
        return self._kind


class Parameter:
    """A ParameterBinding: a trigger's data under its parameter's name."""

    def __init__(self, name: str, data: Typed) -> None:
        self.name, self.data = name, data

    def WhichOneof(self, _: str) -> str:  # noqa: N802 - the name in protobuf
        """Always the data, never shared memory."""
        return "data"


class Worker:
    """The worker's library, asked as the host asks the worker process."""

    def __init__(self, folder: str) -> None:
        import azure_functions_runtime.handle_event as handler

        self._handler, self._folder = handler, folder
        self._ids: dict[str, str] = {}

    async def index(self) -> dict[str, Any]:
        """Each function's bindings, as JSON.

        Raises:
            RuntimeError: the worker could not index the app.
        """
        asked = SimpleNamespace(capabilities={}, function_app_directory=self._folder)
        begun = await self._handler.worker_init_request(
            SimpleNamespace(
                request=SimpleNamespace(worker_init_request=asked), properties={"host": "127.0.0.1", "protos": Protos()}
            )
        )
        if begun.result.exception:
            raise RuntimeError(begun.result.exception.message)
        indexed = await self._handler.functions_metadata_request(SimpleNamespace())
        if indexed.result and indexed.result.exception:
            raise RuntimeError(indexed.result.exception.message)
        found = list(indexed.function_metadata_results)
        self._ids = {function.name: function.function_id for function in found}
        return {function.name: [json.loads(binding) for binding in function.raw_bindings] for function in found}

    async def invoke(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Invoke one function with an HTTP request or a batch of events."""
        if "events" in asked:
            value = Typed("collection_bytes", SimpleNamespace(bytes=[body.encode() for body in asked["events"]]))
            metadata = {name: Typed("json", json.dumps(value)) for name, value in asked["metadata"].items()}
        else:
            value, metadata = _http(asked), {}
        request = SimpleNamespace(
            invocation_id=asked["function"],
            function_id=self._ids[asked["function"]],
            input_data=[Parameter(asked["parameter"], value)],
            trigger_metadata=metadata,
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        reply = await self._handler.invocation_request(
            SimpleNamespace(request=SimpleNamespace(invocation_request=request), properties={})
        )
        failure = reply.result.exception
        answer = reply.return_value.http if reply.return_value and not failure else None
        return {
            "error": failure.message if failure else "",
            "status": int(answer.status_code) if answer else None,
            "body": answer.body.bytes.decode() if answer else None,
        }


def _http(asked: dict[str, Any]) -> Typed:
    fields = {
        "method": asked.get("method", "GET"),
        "url": asked["url"],
        "headers": {},
        "params": asked.get("params", {}),
        "query": {},
        "body": Typed("bytes", b""),
    }
    return Typed("http", SimpleNamespace(**fields))


async def _main(folder: str) -> None:
    worker = Worker(folder)
    functions = await worker.index()
    results = [await worker.invoke(asked) for asked in json.load(sys.stdin)]
    print(json.dumps({"functions": functions, "results": results}))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
