"""Run one aiohttp service until it is told to stop.

The phases of a stop, in order:
1. SIGTERM or SIGINT arrives; the listening socket closes, so nothing new comes in;
2. requests in flight get `drain` seconds to finish;
3. the app's clean-up contexts run in reverse order;
4. a second signal at any point ends the process at once.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from aiohttp import web

from weir.servicekit.malformed import GuardedRunner
from weir.servicekit.values import ListenAddress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

logger = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 10.0
READY_FD: Final = "WEIR_READY_FD"
"""The variable by which a launcher asks to be told of readiness: a file descriptor to write to."""
_INTERRUPTED: Final = 130
_MISUSED: Final = 2


class StartError(Exception):
    """The service cannot start. The message says why and what to do about it."""


async def serve(
    app: web.Application,
    listen: ListenAddress,
    *,
    listening: Callable[[ListenAddress], None],
    setting_name: str,
    drain: float = DRAIN_SECONDS,
) -> None:
    """Serve `app` until SIGTERM or SIGINT. `listening` is told the address, with the port that port 0 became.

    Raises:
        StartError: the address cannot be listened on; the message names `setting_name`.
    """
    stop = stop_on_signals()
    runner = GuardedRunner(app, access_log=None, shutdown_timeout=drain)
    await runner.setup()
    try:
        bound = await start_site(runner, listen, setting_name)
        listening(bound)
        await stop()
    finally:
        await runner.cleanup()


async def start_site(runner: web.AppRunner, listen: ListenAddress, setting_name: str) -> ListenAddress:
    """Open the listening socket and say where it is.

    Raises:
        StartError: the address cannot be listened on.
    """
    site = web.TCPSite(runner, listen.host, listen.port)
    try:
        await site.start()
    except OSError as error:
        raise StartError(cannot_listen(listen, error, setting_name)) from None
    port: int = runner.addresses[0][1]
    return ListenAddress(listen.host, port)


def cannot_listen(listen: ListenAddress, error: OSError, setting_name: str) -> str:
    """Why an address cannot be listened on, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"port {listen.port} on {listen.host} is taken; stop what listens there or set {setting_name}"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot listen on {listen}: {reason}; set {setting_name} to another address"


def announce(url: str, environ: Mapping[str, str], **more_urls: str) -> None:
    """Tell the launcher, if there is one, where this process listens: one JSON line, then end of file.

    Raises:
        StartError: `WEIR_READY_FD` is not an open file descriptor.
    """
    if READY_FD not in environ:
        return
    line = json.dumps({"url": url, **more_urls}) + "\n"
    try:
        with os.fdopen(int(environ[READY_FD]), "w") as launcher:
            launcher.write(line)
    except BrokenPipeError:
        logger.warning("the launcher left before this process was ready")
    except (ValueError, OSError) as error:
        raise StartError(
            f"{READY_FD}={environ[READY_FD]}: {error}; it is for launchers, leave it unset"
        ) from None


def refuse(program: str, error: Exception) -> int:
    """Say on stderr why the program cannot start; the exit code to end with."""
    sys.stderr.writelines(f"{program}: {line}\n" for line in str(error).splitlines())
    return _MISUSED


def stop_on_signals() -> Callable[[], Awaitable[None]]:
    """A function that waits for the first SIGTERM or SIGINT. The second one ends the process at once."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def on_signal() -> None:
        if stopped.is_set():
            os._exit(_INTERRUPTED)
        logger.info("stopping")
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)

    async def wait() -> None:
        await stopped.wait()

    return wait
