"""docker-compose.yml says what the product promises: networks, one public port, few rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from tests.support.dockerfile import read_dockerfile
from tests.support.images import CHECKOUT, IMAGES

from weir.dashboard.settings import DashboardSettings
from weir.metrics_api.settings import MetricsApiSettings
from weir.proxy.config import load_config
from weir.proxy.providers import PROVIDERS
from weir.proxy.settings import ProxySettings
from weir.servicekit.settings import ServiceSettings, file_names, load, setting_names

if TYPE_CHECKING:
    from weir.proxy.worker_plan import Config

FILE: Final = CHECKOUT / "docker-compose.yml"
CONFIG: Final = CHECKOUT / "deploy/config/weir.yaml"
SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "proxy": ProxySettings,
    "metrics-api": MetricsApiSettings,
    "dashboard": DashboardSettings,
}
_VARIABLE: Final = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")


def _compose() -> dict[str, Any]:
    """The file as Compose reads it where no variable is set."""
    return yaml.safe_load(_VARIABLE.sub(lambda found: found[2] or "", FILE.read_text()))


COMPOSE: Final = _compose()
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]


def test_it_follows_the_compose_specification() -> None:
    checker = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_itself_takes_it() -> None:
    if not _has_compose():
        pytest.skip("no docker compose on this machine: the file is checked by its schema only")
    profiles = ["--profile", "postgres", "--profile", "demo"]
    done = subprocess.run(
        ["docker", "compose", "--file", FILE, *profiles, "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _has_compose() -> bool:
    if not shutil.which("docker"):
        return False
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=30, check=False)
    return asked.returncode == 0


@pytest.mark.parametrize("name", IMAGES)
def test_a_dockerfile_passes_its_linter(name: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", CHECKOUT / f"deploy/docker/{name}.Dockerfile"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_service_is_on_its_networks_and_on_no_other() -> None:
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks == {
        "lb": {"edge"},
        "proxy": {"edge", "bus"},
        "redis": {"bus", "store"},
        "metrics-api": {"store", "ui"},
        "dashboard": {"ui"},
        "postgres": {"store"},
        "demo": {"edge"},
    }
    internal = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert internal == {"bus", "store"}


def test_only_the_load_balancer_can_be_reached_from_another_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"lb": ["8001:8001"], "dashboard": ["127.0.0.1:3000:3000"]}


def test_any_number_of_proxies_can_run() -> None:
    proxy = SERVICES["proxy"]
    assert "ports" not in proxy
    assert "container_name" not in proxy
    assert "hostname" not in proxy


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_little_and_use_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not service.get("privileged")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_it_depends_on_is_ready_first(name: str) -> None:
    for other, need in SERVICES[name].get("depends_on", {}).items():
        assert need["condition"] in {"service_healthy", "service_started"}
        if need["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other] or _has_healthcheck(other), other


def _has_healthcheck(name: str) -> bool:
    stage = read_dockerfile(CHECKOUT / SERVICES[name]["build"]["dockerfile"])[-1]
    return bool(stage.all("HEALTHCHECK"))


def test_images_of_others_are_of_a_named_version() -> None:
    others = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert len(others) == 3
    for image in others:
        assert re.fullmatch(r"[a-z]+:\d+(\.\d+)?-alpine", image), image


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_reaches_its_service_and_no_other(name: str) -> None:
    known = setting_names(SETTINGS[name])
    passed = set(SERVICES[name]["environment"])
    fixed = set(_stage(name).env)
    files = set(file_names(SETTINGS[name]))
    assert passed <= {each for names in known for each in names} | files, "passed, but not a setting"
    assert {each for each in files if each.removesuffix("_FILE") in passed - {"REDIS_URL"}} <= passed
    missing = [names[0] for names in known if not (passed | fixed) & set(names)]
    assert missing == [], "not passed and not fixed by the image"


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_containers_are_told_is_understood(name: str) -> None:
    told = {key: value for key, value in SERVICES[name]["environment"].items() if value is not None}
    load(SETTINGS[name], {**_stage(name).env, **told})


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_written_is_on_a_volume(name: str) -> None:
    mounted = {
        volume.split(":")[1] for volume in SERVICES[name].get("volumes", ()) if isinstance(volume, str)
    }
    assert mounted == {volume.text for volume in _stage(name).all("VOLUME")}


def test_every_file_that_is_mounted_exists_and_can_be_read_by_anyone() -> None:
    volumes: list[Any] = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]
    mounts = [volume for volume in volumes if not isinstance(volume, str) and volume["type"] == "bind"]
    assert len(mounts) == 3
    for mount in mounts:
        assert mount["read_only"] is True
        file: Path = CHECKOUT / mount["source"]
        assert file.is_file()
        assert file.stat().st_mode & 0o004, f"{file} cannot be read in the container"


def test_without_a_word_the_proxies_answer_from_the_demo_model() -> None:
    assert [upstream.name for upstream in _configured(CONFIG, {}).upstreams] == ["demo"]


def test_the_examples_in_the_configuration_can_be_used(tmp_path: Path) -> None:
    text = CONFIG.read_text().partition("\n\n")[2]
    file = tmp_path / "weir.yaml"
    file.write_text(re.sub(r"^# ?", "", text, flags=re.MULTILINE))
    config = _configured(file, {"OPENAI_API_KEY": "sk-made-up"})
    assert [upstream.name for upstream in config.upstreams] == ["gpu-1", "openai"]
    assert set(config.clients.values()) == {"ci"}


def _configured(file: Path, environ: dict[str, str]) -> Config:
    """What a proxy of the compose file reads from this configuration."""
    told = {key: value for key, value in SERVICES["proxy"]["environment"].items() if value is not None}
    settings = load(ProxySettings, {**_stage("proxy").env, **told, "WEIR_CONFIG": str(file)})
    return load_config(settings, environ, frozenset(PROVIDERS))


def test_a_stop_waits_for_requests_in_flight() -> None:
    proxy = load(ProxySettings, {})
    assert _seconds("proxy") >= proxy.drain + 10  # for killing what did not obey, and for shipping the rest
    assert _seconds("lb") > proxy.drain


def _seconds(name: str) -> float:
    return float(SERVICES[name]["stop_grace_period"].removesuffix("s"))


def _stage(name: str) -> Any:
    return read_dockerfile(CHECKOUT / SERVICES[name]["build"]["dockerfile"])[-1]
