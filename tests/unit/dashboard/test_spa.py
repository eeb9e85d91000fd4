"""The SPA's files, and index.html for every page of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.support.raw_http import fetch

from weir.dashboard.settings import CHECKOUT_SPA

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.dashboard.conftest import Gateway

HTML = [("Accept", "text/html,application/xhtml+xml")]


@pytest.mark.parametrize(
    "path", ["/", "/requests", "/requests/0198", "/a//b", "/x/../y", "/apix", "/graphql/x"]
)
async def test_every_page_gets_the_index(gateway: Gateway, path: str) -> None:
    answer = await fetch(await gateway(), "GET", path)
    assert answer.status == 200
    assert answer.body == b"<!doctype html><title>Weir</title>"
    assert answer.header("Cache-Control") == "no-cache"
    assert answer.header("Content-Type") == "text/html"


async def test_hashed_files_are_kept_forever(gateway: Gateway) -> None:
    answer = await fetch(await gateway(), "GET", "/assets/index-BxQ2.js")
    assert answer.status == 200
    assert answer.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert answer.header("Content-Type") in {"text/javascript", "application/javascript"}


async def test_a_compressed_twin_is_sent_to_who_takes_it(gateway: Gateway) -> None:
    url = await gateway()
    packed = await fetch(url, "GET", "/assets/index-BxQ2.js", [("Accept-Encoding", "gzip, br")])
    assert (packed.header("Content-Encoding"), packed.body) == ("br", b"as if compressed")
    plain = await fetch(url, "GET", "/assets/index-BxQ2.js")
    assert plain.header("Content-Encoding") is None
    assert packed.header("Vary") == plain.header("Vary") == "Accept-Encoding"


async def test_an_unchanged_page_is_not_sent_again(gateway: Gateway) -> None:
    url = await gateway()
    etag = (await fetch(url, "GET", "/")).header("ETag")
    assert etag
    again = await fetch(url, "GET", "/", [("If-None-Match", etag)])
    assert (again.status, again.body) == (304, b"")


async def test_a_hashed_file_of_another_build_is_not_a_page(gateway: Gateway) -> None:
    answer = await fetch(await gateway(), "GET", "/assets/index-OLD.js")
    assert answer.status == 404
    assert answer.json()["code"] == "not_found"
    assert "immutable" not in (answer.header("Cache-Control") or "")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/..\\..\\secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/link.txt",
        "/%00",
        "/" + "x" * 5000,
    ],
)
async def test_nothing_outside_the_folder_is_served(gateway: Gateway, path: str) -> None:
    answer = await fetch(await gateway(), "GET", path)
    assert b"not for the browser" not in answer.body


async def test_head_and_other_methods(gateway: Gateway) -> None:
    url = await gateway()
    assert (await fetch(url, "HEAD", "/requests")).status == 200
    refused = await fetch(url, "POST", "/requests", body=b"{}")
    assert (refused.status, refused.header("Allow")) == (405, "GET,HEAD")


async def test_without_a_build_a_page_says_how_to_make_one(gateway: Gateway, spa_dir: Path) -> None:
    shutil.rmtree(spa_dir)
    url = await gateway()
    page = await fetch(url, "GET", "/requests", HTML)
    assert (page.status, page.header("Content-Type")) == (503, "text/html; charset=utf-8")
    assert b"npm install &amp;&amp; npm run build" in page.body
    assert b"make run" in page.body
    problem = await fetch(url, "GET", "/")
    assert problem.json()["code"] == "spa_not_built"


async def test_a_build_made_later_is_served_without_a_restart(gateway: Gateway, spa_dir: Path) -> None:
    hidden = shutil.move(spa_dir, spa_dir.with_name("hidden"))
    url = await gateway()
    assert (await fetch(url, "GET", "/")).status == 503
    shutil.move(hidden, spa_dir)
    assert (await fetch(url, "GET", "/")).status == 200


def test_the_default_folder_is_the_checkouts() -> None:
    assert (CHECKOUT_SPA.parent / "package.json").is_file()
