"""The public endpoints: what is not in this table is answered with 404 and leaves no record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SEGMENT: Final = rb"[A-Za-z0-9._:@~-]+"
_PLACEHOLDER: Final = re.compile(rb"\{(\w+)\}")
_DOTS: Final = re.compile(rb"(?:^|/)\.{1,2}(?:/|$)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation a client can ask for."""

    operation: str
    """The record's `endpoint`, such as `chat.completions`."""
    method: bytes
    path: bytes
    """`{id}` stands for one segment, `{model}` for one or more."""
    dialect: str = "openai.plain"
    """How its clients speak, a key of `DIALECTS`."""
    body: Literal["json", "form", "opaque", "none"] = "json"
    """`json` and `form` bodies are read for the model, which decides where they go."""
    kind: Literal["inference", "other"] = "inference"
    """Answers of inference are read for usage and timing; others are only relayed."""
    group: str | None = None
    """A stateful group, closed unless the operator opens it: a shared key would mix clients' data."""

    @property
    def family(self) -> str:
        """`openai`, `anthropic` or `ollama`."""
        return self.dialect.partition(".")[0]


POST: Final = b"POST"
GET: Final = b"GET"
DELETE: Final = b"DELETE"


def _stateful(operation: str, method: bytes, path: bytes) -> Endpoint:
    return Endpoint(
        operation,
        method,
        path,
        body="opaque" if method == POST else "none",
        kind="other",
        group=operation.partition(".")[0],
    )


ENDPOINTS: Final = (
    # OpenAI
    Endpoint("chat.completions", POST, b"/v1/chat/completions", "openai.chat"),
    Endpoint("completions", POST, b"/v1/completions", "openai.chat"),
    Endpoint("responses", POST, b"/v1/responses", "openai.events"),
    Endpoint("embeddings", POST, b"/v1/embeddings"),
    Endpoint("moderations", POST, b"/v1/moderations"),
    Endpoint("audio.speech", POST, b"/v1/audio/speech", "openai.speech"),
    Endpoint("audio.transcriptions", POST, b"/v1/audio/transcriptions", "openai.form", "form"),
    Endpoint("audio.translations", POST, b"/v1/audio/translations", "openai.form", "form"),
    Endpoint("images.generations", POST, b"/v1/images/generations", "openai.events"),
    Endpoint("images.edits", POST, b"/v1/images/edits", "openai.form", "form"),
    Endpoint("images.variations", POST, b"/v1/images/variations", "openai.form", "form"),
    Endpoint("models.list", GET, b"/v1/models", body="none", kind="other"),
    Endpoint("models.retrieve", GET, b"/v1/models/{model}", body="none", kind="other"),
    # what vLLM and others add to it
    Endpoint("rerank", POST, b"/v1/rerank"),
    Endpoint("rerank", POST, b"/v2/rerank"),
    Endpoint("rerank", POST, b"/rerank"),
    Endpoint("score", POST, b"/v1/score"),
    Endpoint("score", POST, b"/score"),
    Endpoint("tokenize", POST, b"/v1/tokenize", kind="other"),
    Endpoint("tokenize", POST, b"/tokenize", kind="other"),
    # Anthropic
    Endpoint("messages", POST, b"/v1/messages", "anthropic.messages"),
    Endpoint("messages.count_tokens", POST, b"/v1/messages/count_tokens", "anthropic.count", kind="other"),
    # Ollama
    Endpoint("ollama.chat", POST, b"/api/chat", "ollama.chat"),
    Endpoint("ollama.generate", POST, b"/api/generate", "ollama.chat"),
    Endpoint("ollama.embed", POST, b"/api/embed", "ollama.plain"),
    Endpoint("ollama.embeddings", POST, b"/api/embeddings", "ollama.plain"),
    Endpoint("ollama.show", POST, b"/api/show", "ollama.plain", kind="other"),
    Endpoint("ollama.tags", GET, b"/api/tags", "ollama.plain", "none", "other"),
    Endpoint("ollama.version", GET, b"/api/version", "ollama.plain", "none", "other"),
    # stateful, closed by default
    _stateful("responses.retrieve", GET, b"/v1/responses/{id}"),
    _stateful("responses.delete", DELETE, b"/v1/responses/{id}"),
    _stateful("responses.cancel", POST, b"/v1/responses/{id}/cancel"),
    _stateful("responses.items", GET, b"/v1/responses/{id}/input_items"),
    _stateful("files.create", POST, b"/v1/files"),
    _stateful("files.list", GET, b"/v1/files"),
    _stateful("files.retrieve", GET, b"/v1/files/{id}"),
    _stateful("files.delete", DELETE, b"/v1/files/{id}"),
    _stateful("files.content", GET, b"/v1/files/{id}/content"),
    _stateful("batches.create", POST, b"/v1/batches"),
    _stateful("batches.list", GET, b"/v1/batches"),
    _stateful("batches.retrieve", GET, b"/v1/batches/{id}"),
    _stateful("batches.cancel", POST, b"/v1/batches/{id}/cancel"),
)

GROUPS: Final = frozenset(endpoint.group for endpoint in ENDPOINTS if endpoint.group is not None)


class EndpointTable:
    """Finds the endpoint of a path, which is compared as raw bytes: nothing in it is decoded."""

    def __init__(self, endpoints: Iterable[Endpoint], open_groups: Iterable[str] = ()) -> None:
        self._exact: dict[bytes, dict[bytes, Endpoint]] = {}
        self._patterns: dict[bytes, tuple[re.Pattern[bytes], dict[bytes, Endpoint]]] = {}
        opened = set(open_groups)
        for endpoint in endpoints:
            if endpoint.group is None or endpoint.group in opened:
                self._methods(endpoint.path)[endpoint.method] = endpoint

    def find(self, path: bytes) -> tuple[Mapping[bytes, Endpoint], str | None] | None:
        """The endpoints at a path by their method, and the model that the path names, if it does."""
        methods = self._exact.get(path)
        if methods is not None:
            return methods, None
        if _DOTS.search(path) is not None:
            return None
        for pattern, by_method in self._patterns.values():
            if (match := pattern.fullmatch(path)) is not None:
                model = match.groupdict().get("model")
                return by_method, model.decode() if model is not None else None
        return None

    def _methods(self, path: bytes) -> dict[bytes, Endpoint]:
        if b"{" not in path:
            return self._exact.setdefault(path, {})
        pattern = re.compile(_PLACEHOLDER.sub(_as_group, path))
        return self._patterns.setdefault(path, (pattern, {}))[1]


def _as_group(match: re.Match[bytes]) -> bytes:
    segments = rb"%b(?:/%b)*" % (_SEGMENT, _SEGMENT) if match[1] == b"model" else _SEGMENT
    return rb"(?P<%b>%b)" % (match[1], segments)
