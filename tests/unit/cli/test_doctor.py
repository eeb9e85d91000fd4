"""What the doctor shows: every setting masked with its origin, and each red thing with its fix."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from tests.support.certificates import Authority
from tests.support.fake_llm import FakeLLM

from weir.cli.checks import check_data_dir, check_spa
from weir.cli.doctor import SETTINGS, examine
from weir.servicekit.settings import setting_names

if TYPE_CHECKING:
    from pathlib import Path

    Capture = pytest.CaptureFixture[str]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings with which nothing is red."""
    spa = tmp_path / "spa"
    spa.mkdir()
    (spa / "index.html").touch()
    anywhere = "127.0.0.1:0"
    return {
        "WEIR_DATA_DIR": str(tmp_path / "data"),
        "WEIR_SPA_DIR": str(spa),
        "WEIR_DEMO": "1",
        "WEIR_PROXY_LISTEN": anywhere,
        "WEIR_PROXY_ADMIN_LISTEN": anywhere,
        "WEIR_API_LISTEN": anywhere,
        "WEIR_DASHBOARD_LISTEN": anywhere,
    }


async def test_when_all_is_well_the_exit_code_is_0(environ: dict[str, str], capsys: Capture) -> None:
    assert await examine(environ, {}) == 0
    assert "red" not in capsys.readouterr().out.split()


async def test_every_setting_is_shown(environ: dict[str, str], capsys: Capture) -> None:
    await examine(environ, {"WEIR_LOG_LEVEL": "debug"})
    out = capsys.readouterr().out
    for cls in SETTINGS.values():
        for names in setting_names(cls):
            assert names[0] in out
    line = next(line for line in out.splitlines() if line.startswith("WEIR_LOG_LEVEL"))
    assert line.split() == [
        *("WEIR_LOG_LEVEL", "debug", ".env", "(WEIR_LOG_LEVEL)"),
        *("weir", "run,", "proxy,", "metrics-api,", "dashboard"),
    ]


async def test_secrets_are_masked(environ: dict[str, str], capsys: Capture) -> None:
    secrets = {
        "REDIS_URL": "redis://:hidden-1@127.0.0.1:1/0",
        "WEIR_UPSTREAM_API_KEY": "hidden-2",
        "WEIR_UPSTREAM_URL": "http://127.0.0.1:1/v1",
        "WEIR_BACKEND_URL": "http://u:hidden-3@127.0.0.1:1",
    }
    assert await examine({**environ, **secrets}, {}) == 1
    assert "hidden" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"WEIR_UPSTREAM_ULR": "x"},
            "WEIR_UPSTREAM_ULR is set, but nothing reads it; did you mean WEIR_UPSTREAM_URL?",
        ),
        (
            {"WEIR_PROXY_LISTEN": "8001"},
            "WEIR_PROXY_LISTEN (environment): '8001' is not a listen address; write",
        ),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "redis: redis://127.0.0.1:1/0 does not answer"),
        ({"REDIS_URL": "ftp://x"}, "REDIS_URL"),
        ({"WEIR_UPSTREAM_URL": "http://127.0.0.1:1"}, "upstream default: http://127.0.0.1:1 does not answer"),
        ({"WEIR_CONFIG": "/nowhere/weir.yaml"}, "/nowhere/weir.yaml cannot be read"),
        ({"WEIR_SPA_DIR": "/nowhere"}, "not built in /nowhere; run make setup, or set WEIR_SPA_DIR"),
    ],
)
async def test_what_is_red_says_how_to_mend_it(
    environ: dict[str, str], capsys: Capture, changes: dict[str, str], words: str
) -> None:
    assert await examine({**environ, **changes}, {}) == 1
    red = [line for line in capsys.readouterr().out.splitlines() if line.startswith("red")]
    assert len(red) == 1, red
    assert words in red[0]


async def test_a_port_that_another_program_holds_is_red(environ: dict[str, str], capsys: Capture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        taken.settimeout(0)
        assert await examine({**environ, "WEIR_API_LISTEN": address}, {}) == 1
    assert "stop what listens there or set WEIR_API_LISTEN" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = check_data_dir(tmp_path / "file")
    assert not finding.ok
    assert "set WEIR_DATA_DIR to another folder" in finding.detail


def test_the_checks_leave_nothing_behind(tmp_path: Path) -> None:
    assert check_data_dir(tmp_path / "a" / "b").ok
    assert check_spa(tmp_path).ok is False
    assert list(tmp_path.iterdir()) == []


async def test_an_upstream_with_an_authority_of_its_own_is_green(
    environ: dict[str, str], tmp_path: Path, capsys: Capture
) -> None:
    authority = Authority(tmp_path / "authority")
    environ["WEIR_UPSTREAM_CA"] = str(authority.pair.certificate)
    async with FakeLLM(tls=authority.sign("model-server").server()) as fake:
        environ["WEIR_UPSTREAM_URL"] = fake.url
        assert await examine(environ, {}) == 0
        assert f"{fake.url} answers" in capsys.readouterr().out
        environ["WEIR_UPSTREAM_CA"] = str(Authority(tmp_path / "other").pair.certificate)
        assert await examine(environ, {}) == 1
