"""Another name for the model: it and nothing else changes, wherever it stands."""

from __future__ import annotations

import json
from typing import Final

import pytest
from tests.support.families import form

from weir.proxy.providers import DIALECTS
from weir.proxy.providers.model_name import rename_in_form, rename_in_json

AUDIO: Final = (
    b'RIFF\r\n\r\nname="model"\r\n\r\ndecoy\r\n'
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nno\r\n'
)


@pytest.mark.parametrize(
    ("body", "renamed"),
    [
        (b'{"model":"old"}', b'{"model":"llama \\"3\\""}'),
        (b' {\n "model" :\t"old" , "n": 1.50 }\n', b' {\n "model" :\t"llama \\"3\\"" , "n": 1.50 }\n'),
        (
            b'{"input":[{"model":"old","text":"\\"model\\":\\"old\\""}],"model":"old","n":1e400}',
            b'{"input":[{"model":"old","text":"\\"model\\":\\"old\\""}],"model":"llama \\"3\\"","n":1e400}',
        ),
        (b'{"model":"\\u006fld","x":"\xc3\xa9"}', b'{"model":"llama \\"3\\"","x":"\xc3\xa9"}'),
        (b'{"name":"old","verbose":true}', b'{"name":"llama \\"3\\"","verbose":true}'),
        (b'{"tools":[{"name":"f"}],"model":"old"}', b'{"tools":[{"name":"f"}],"model":"llama \\"3\\""}'),
    ],
    ids=["plain", "spaced", "decoys", "escaped-value", "name", "named-tool"],
)
def test_only_the_models_name_changes(body: bytes, renamed: bytes) -> None:
    assert rename_in_json(body, 'llama "3"') == renamed


def test_behind_an_escaped_key_each_value_keeps_its_bytes() -> None:
    body = b'{ "\\u006dodel": "old", "seed": 12345678901234567890123, "temperature": 1.50 }'
    assert rename_in_json(body, "new") == b'{"model":"new","seed":12345678901234567890123,"temperature":1.50}'


def test_among_many_decoys_it_is_found_in_little_time() -> None:
    decoys = [{"model": "old"}] * 50_000
    body = json.dumps({"messages": decoys, "model": "old"}).encode()
    renamed = json.loads(rename_in_json(body, "new"))
    assert (renamed["model"], renamed["messages"]) == ("new", decoys)


def test_many_named_tools_before_it_cost_no_byte() -> None:
    tools = b", ".join(b'{"name": "f%d"}' % number for number in range(50))
    body = b'{"tools": [%b], "model": "old"}' % tools
    assert rename_in_json(body, "new") == b'{"tools": [%b], "model": "new"}' % tools


@pytest.mark.parametrize("file_name", ["model.mp3", 'model"; name=', "a.wav"])
def test_a_forms_field_is_renamed_and_its_file_is_not_touched(file_name: str) -> None:
    fields = {"model_kwargs": "decoy", "streaming": "true", "model": "whisper-1", "language": "de"}
    body = form(fields, AUDIO, file_name)
    assert rename_in_form(body, "large-v3") == form({**fields, "model": "large-v3"}, AUDIO, file_name)
    facts = DIALECTS["openai.form"].read_request(body)
    assert (facts.model, facts.stream) == ("whisper-1", False)


@pytest.mark.parametrize(
    ("fields", "model", "stream"),
    [
        ({"model": "m", "stream": "true"}, "m", True),
        ({"stream": "True ", "model": "m"}, "m", True),
        ({"model": "m", "stream": "false"}, "m", False),
        ({"model": ""}, None, False),
        ({"model": "m" * 300}, None, False),
        ({}, None, False),
        ({"model": "größe"}, "größe", False),
    ],
)
def test_what_a_form_says(fields: dict[str, str], model: str | None, stream: bool) -> None:
    facts = DIALECTS["openai.form"].read_request(form(fields, b"\x00\xff"))
    assert (facts.model, facts.stream) == (model, stream)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"--x",
        b"--x\r\n",
        b"--x\r\n\r\n",
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm',
        b"no form",
    ],
)
def test_what_is_no_form_has_no_fields(body: bytes) -> None:
    assert DIALECTS["openai.form"].read_request(body).model is None
    assert rename_in_form(body, "new") == body


def test_a_part_without_a_head_is_passed_over() -> None:
    body = b"--x\r\n\r\nfree text\r\n--x\r\ncontent-disposition: form-data; name=model\r\n\r\nm\r\n--x--\r\n"
    assert DIALECTS["openai.form"].read_request(body).model == "m"
