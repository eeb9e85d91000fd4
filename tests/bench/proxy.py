"""What the proxy costs beside nginx, Envoy and a plain Python relay, all on the same core in turns.

    make bench                       all scenes, five turns: about fifteen minutes
    make bench ARGS='--turns 1 --seconds 2 --scenes plain,flood --proxies nginx,weir'

`traffic.c` is clients and model server in one process on a second core. CPU is user and system time of the
whole process tree (for Weir: parent and worker, until every record is in Redis; Redis itself runs on the
load's core and is not counted). Printed are medians of the turns, and ratios to nginx of the same turn.
Nothing is asserted on time; wrong answers and failed requests end the run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from tests.bench.contestants import KEY, Contestant, Weir, cpu_seconds, installed, megabytes
from tests.support.redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE: Final = Path(__file__).parent
ENVOY_HOME: Final = HERE.parents[1] / ".venv-bench"


@dataclass(frozen=True)
class Scene:
    """One kind of traffic. `per` is what is counted: requests or events."""

    name: str
    mode: str
    connections: int
    prompt_bytes: int = 300
    rate: float = 0.0
    per: str = "requests"


SCENES: Final = (
    Scene("plain", "plain", 32),
    Scene("prompt", "plain", 32, prompt_bytes=32 << 10),
    Scene("flood", "flood", 32, per="events"),
    Scene("paced", "paced", 40, rate=100, per="events"),
    Scene("latency", "rate", 64, rate=2000),
)
MEMORY: Final = (500, 10_000)
"""Open streams; fewer where the machine does not allow that many descriptors."""
_DESCRIPTORS: Final = 65536
_OTHER_DESCRIPTORS: Final = 600
MODELS: Final = 1_000_000
"""Requests that name 10,000 models, after which memory is looked at again."""
_LONGEST_SECONDS: Final = 900.0


@dataclass
class Figures:
    """What was measured of one proxy in one scene, one number a turn."""

    cpu_us: list[float] = field(default_factory=list[float])
    per_second: list[float] = field(default_factory=list[float])
    p50_us: list[float] = field(default_factory=list[float])
    p99_us: list[float] = field(default_factory=list[float])


def build() -> Path:
    """The load generator, compiled where its source is not older than the last build."""
    source, built = HERE / "traffic.c", Path(tempfile.gettempdir()) / f"weir-bench-traffic-{os.getuid()}"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", built, source], check=True)
    return built


def envoy() -> str | None:
    """The Envoy binary, fetched into an environment of its own; None where there is none to be had."""
    if not ENVOY_HOME.exists():
        venv.create(ENVOY_HOME, with_pip=True)
        got = subprocess.run([ENVOY_HOME / "bin/pip", "install", "--quiet", "pyvoy"], check=False)
        if got.returncode != 0:
            return None
    found = [path for path in ENVOY_HOME.rglob("envoy") if path.is_file() and os.access(path, os.X_OK)]
    return str(found[0]) if found else None


def measure(
    traffic: Path, load_core: int, scene: Scene, contestant: Contestant, upstream_port: int, seconds: float
) -> tuple[dict[str, Any], float]:
    """One run: what the traffic says, and the proxy's CPU seconds within it."""
    records = contestant.records() if isinstance(contestant, Weir) else 0
    with _run(traffic, load_core, scene, contestant.port, upstream_port, seconds) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begin\n", "the traffic did not start"
        before = cpu_seconds(contestant.pid)
        said: dict[str, Any] = json.loads(running.stdout.readline())
    contestant.settle(records + said["requests"])
    used = cpu_seconds(contestant.pid) - before
    if said["errors"] or said["wrong"]:
        sys.exit(f"{contestant.name}, {scene.name}: {said}")
    return said, used


def _run(
    traffic: Path, core: int, scene: Scene, port: int, upstream_port: int, seconds: float
) -> subprocess.Popen[str]:
    """The traffic through the proxy at `port`, on its own core."""
    arguments = [scene.mode, port, upstream_port, seconds, scene.connections, scene.prompt_bytes, scene.rate]
    command = ["taskset", "-c", core, traffic, *arguments, KEY]
    return subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def compare(
    traffic: Path, scene: Scene, names: list[str], cores: Sequence[int], turns: int, seconds: float
) -> dict[str, Figures]:
    """All proxies in turns."""
    figures: dict[str, Figures] = {}
    for _ in range(turns):
        for kind in installed(names, envoy):
            upstream_port = free_port()
            contestant = kind(cores[0], upstream_port)
            try:
                said, used = measure(traffic, cores[1], scene, contestant, upstream_port, seconds)
            finally:
                contestant.stop()
            figure = figures.setdefault(contestant.name, Figures())
            figure.cpu_us.append(used / max(1, said[scene.per]) * 1e6)
            figure.per_second.append(said[scene.per] / said["seconds"])
            figure.p50_us.append(said["p50"])
            figure.p99_us.append(said["p99"])
    return figures


def show(scene: Scene, figures: dict[str, Figures]) -> None:
    load = f"{scene.connections} connections, {scene.prompt_bytes} B prompt"
    say(f"\n{scene.name}: {load}{f', {scene.rate:g}/s' if scene.rate else ''}, per {scene.per[:-1]}")
    say(f"  {'':8} {'CPU µs':>8} {'x nginx':>8} {'/s':>9} {'p50 µs':>9} {'p99 µs':>9}")
    yardstick = figures.get("nginx")
    for name, figure in figures.items():
        ratio = ""
        if yardstick is not None:
            pairs = zip(figure.cpu_us, yardstick.cpu_us, strict=True)
            ratio = f"{median(mine / its for mine, its in pairs):.2f}"
        say(
            f"  {name:8} {median(figure.cpu_us):8.1f} {ratio:>8} {median(figure.per_second):9,.0f}"
            f" {median(figure.p50_us):9,.0f} {median(figure.p99_us):9,.0f}"
        )


def memory(traffic: Path, names: list[str], cores: Sequence[int], streams: int) -> None:
    """Memory of each proxy idle and with streams open that send an event a second each."""
    streams = min(streams, (allow_descriptors() - _OTHER_DESCRIPTORS) // 2)
    say(f"\nmemory: PSS in MB, idle and with {streams:,} open streams of 1 event/s")
    for kind in installed(names, envoy):
        upstream_port = free_port()
        contestant = kind(cores[0], upstream_port)
        try:
            idle = megabytes(contestant.pid)
            worker = contestant.worker if isinstance(contestant, Weir) else contestant.pid
            idle_worker = megabytes(worker, alone=True)
            scene = Scene("memory", "hold", streams, rate=1)
            with _run(traffic, cores[1], scene, contestant.port, upstream_port, 0) as running:
                assert running.stdout is not None
                assert running.stdin is not None
                opened = int(running.stdout.readline().removeprefix("open "))
                before = cpu_seconds(contestant.pid)
                time.sleep(5)
                cores_used = (cpu_seconds(contestant.pid) - before) / 5
                held = megabytes(contestant.pid)
                held_worker = megabytes(worker, alone=True)
                running.stdin.write("end\n")
                running.stdin.flush()
                errors = json.loads(running.stdout.readline())["errors"]
        finally:
            contestant.stop()
        each = (held - idle) * 1024 / max(1, opened)
        of_worker = (
            f" (worker {idle_worker:.1f} -> {held_worker:.1f})" if isinstance(contestant, Weir) else ""
        )
        say(
            f"  {contestant.name:8} {idle:6.1f} -> {held:6.1f}{of_worker}, {each:.1f} KB a stream,"
            f" {cores_used:.2f} of a core, {opened:,} open, {errors} errors"
        )


def many_models(traffic: Path, cores: Sequence[int], requests: int) -> None:
    """Memory of Weir's worker before and after many requests for many models, in quarters."""
    upstream_port = free_port()
    contestant = Weir(cores[0], upstream_port)
    sizes = [megabytes(contestant.worker, alone=True)]
    began = time.monotonic()
    try:
        for _ in range(4):
            scene = Scene("models", "models", 32, rate=requests / 4)
            records = contestant.records()
            with _run(traffic, cores[1], scene, contestant.port, upstream_port, _LONGEST_SECONDS) as running:
                assert running.stdout is not None
                assert running.stdout.readline() == "begin\n", "the traffic did not start"
                said: dict[str, Any] = json.loads(running.stdout.readline())
            if said["errors"] or said["wrong"] or said["requests"] < requests / 4:
                sys.exit(f"weir, models: {said}")
            contestant.settle(records + said["requests"])
            sizes.append(megabytes(contestant.worker, alone=True))
    finally:
        contestant.stop()
    took = time.monotonic() - began
    say(f"\nmodels: {requests:,} requests for 10,000 models in {took:.0f} s")
    say("  worker, PSS in MB before and after each quarter: " + ", ".join(f"{size:.1f}" for size in sizes))


def allow_descriptors() -> int:
    """As many as we need, or as there may be, for this process and those that it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # only root goes beyond
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, max(hard, _DESCRIPTORS)))
        return _DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    every = [*(scene.name for scene in SCENES), *(f"memory{streams}" for streams in MEMORY), "models"]
    parser.add_argument("--scenes", default=",".join(every))
    parser.add_argument("--proxies", default="nginx,envoy,aiohttp,weir")
    parser.add_argument("--requests", type=int, default=MODELS, help="of the scene models")
    parser.add_argument("--cores", default="1,0", help="of the proxy, of the load")
    arguments = parser.parse_args()
    cores = [int(core) for core in arguments.cores.split(",")]
    names, scenes = arguments.proxies.split(","), arguments.scenes.split(",")
    traffic = build()
    machine = f"{os.cpu_count()} cores, {_cpu_model()}"
    say(f"Python {platform.python_version()}, Linux {platform.release()}, {machine}")
    for scene in SCENES:
        if scene.name in scenes:
            show(scene, compare(traffic, scene, names, cores, arguments.turns, arguments.seconds))
    for streams in MEMORY:
        if f"memory{streams}" in scenes:
            memory(traffic, names, cores, streams)
    if "models" in scenes:
        many_models(traffic, cores, arguments.requests)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command talks


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


if __name__ == "__main__":
    main()
