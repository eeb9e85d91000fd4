"""Responses, as OpenAI writes them: whole, and as a stream of typed and numbered events."""

from __future__ import annotations

from typing import Any, Final

from tests.support.fake_llm.families.openai import error
from tests.support.fake_llm.reply import Asked, Reply, indented, typed_event
from tests.support.fake_llm.script import CREATED, Script, answered_model

ERROR: Final = {"code": "server_error", "message": "The engine died."}


def responses(asked: Asked) -> Reply:
    stream = _Stream(asked)
    stream.opening()
    for number, item in enumerate(_items(asked.script)):
        stream.item(number, item)
    status = "incomplete" if asked.script.finish_reason == "length" else "completed"
    done = _response(asked, status, _items(asked.script))
    return Reply(
        plain=indented(done),
        streams=asked.flag("stream"),
        events=tuple(stream.events),
        end=stream.event(f"response.{status}", response=done),
        failure=(stream.event("error", **ERROR, param=None),),
        failed=stream.event("response.failed", response=_response(asked, "failed", [])),
        error=error,
    )


class _Stream:
    """Events in their order, each with its number."""

    def __init__(self, asked: Asked) -> None:
        self.events: list[bytes] = []
        self._asked = asked

    def event(self, kind: str, **fields: Any) -> bytes:
        return typed_event({"type": kind, "sequence_number": len(self.events), **fields})

    def add(self, kind: str, **fields: Any) -> None:
        self.events.append(self.event(kind, **fields))

    def opening(self) -> None:
        for kind in ("created", "in_progress"):
            self.add(f"response.{kind}", response=_response(self._asked, "in_progress", []))

    def item(self, index: int, item: dict[str, Any]) -> None:
        said = self._asked.script
        at = {"item_id": item["id"], "output_index": index}
        empty: dict[str, Any] = {**item, "content": [], "status": "in_progress"}
        self.add("response.output_item.added", output_index=index, item=empty)
        if item["type"] == "reasoning":
            self._part(
                {**at, "summary_index": 0}, "reasoning_summary_part", "reasoning_summary_text", said.reasoning
            )
        elif item["type"] == "function_call":
            self._texts(at, "function_call_arguments", said.tool_arguments, "arguments")
        elif said.refusal:
            self._part({**at, "content_index": 0}, "content_part", "refusal", said.refusal)
        else:
            self._part({**at, "content_index": 0}, "content_part", "output_text", said.words)
        self.add("response.output_item.done", output_index=index, item=item)

    def _part(self, at: dict[str, Any], part: str, kind: str, words: tuple[str, ...]) -> None:
        field = "refusal" if kind == "refusal" else "text"
        name = "summary_text" if part == "reasoning_summary_part" else kind
        self.add(f"response.{part}.added", **at, part={"type": name, field: ""})
        self._texts(at, kind, words, field)
        self.add(f"response.{part}.done", **at, part={"type": name, field: "".join(words)})

    def _texts(self, at: dict[str, Any], kind: str, words: tuple[str, ...], field: str) -> None:
        for word in words:
            self.add(f"response.{kind}.delta", **at, delta=word, obfuscation="x9Tq")
        self.add(f"response.{kind}.done", **at, **{field: "".join(words)})


def _items(said: Script) -> list[dict[str, Any]]:
    """The output: reasoning, then a call or a message."""
    items: list[dict[str, Any]] = []
    if said.reasoning:
        summary = [{"type": "summary_text", "text": "".join(said.reasoning)}]
        items.append({"id": "rs_1", "type": "reasoning", "summary": summary})
    if said.tool_arguments:
        call = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1"}
        return [*items, call | {"name": "weather", "arguments": "".join(said.tool_arguments)}]
    part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": []}
    part["text"] = "".join(said.words)
    if said.refusal:
        part = {"type": "refusal", "refusal": "".join(said.refusal)}
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    return [*items, message | {"content": [part]}]


def _response(asked: Asked, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    said = asked.script
    usage = {
        "input_tokens": said.prompt_tokens,
        "input_tokens_details": {"cached_tokens": said.cached_tokens},
        "output_tokens": said.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
        "total_tokens": said.prompt_tokens + said.completion_tokens,
    }
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": ERROR if status == "failed" else None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": answered_model(asked.model),
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if status in {"completed", "incomplete"} else None,
        "user": None,
        "metadata": {},
    }
