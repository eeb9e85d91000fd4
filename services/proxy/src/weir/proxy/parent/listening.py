"""The public sockets. The parent opens and keeps them, so a worker's death loses no waiting connection."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from weir.servicekit.run import StartError, cannot_listen
from weir.servicekit.values import ListenAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKLOG: Final = 4096
_UNSENT: Final = 128 << 10
"""What the kernel holds of an answer that its client does not read; it would take megabytes."""
_SETTING: Final = "WEIR_PROXY_LISTEN"
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})


def open_sockets(listen: ListenAddress, workers: int) -> tuple[ListenAddress, Sequence[socket.socket]]:
    """One listening socket for each worker, and where they listen.

    On Linux each worker has a socket of its own (SO_REUSEPORT) and the kernel spreads the connections; what
    waits in the queue of a worker that died waits for its successor. Elsewhere all share one socket.

    Raises:
        StartError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    spread = sys.platform == "linux" and workers > 1
    with ExitStack() as opened:
        try:
            # Without SO_REUSEPORT, so that a port on which somebody else listens is noticed.
            probe = opened.enter_context(socket.socket(family))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _hold_little(probe)
            probe.bind((listen.host, listen.port))
            port = probe.getsockname()[1]
            if not spread:
                probe.listen(BACKLOG)
                opened.pop_all()
                return ListenAddress(listen.host, port), [probe]
            probe.close()
            sockets = [opened.enter_context(_reusing(family, listen.host, port)) for _ in range(workers)]
        except socket.gaierror:
            raise StartError(f"{_SETTING}: the host {listen.host!r} is unknown") from None
        except OSError as error:
            raise StartError(cannot_listen(listen, error, _SETTING)) from None
        opened.pop_all()
        return ListenAddress(listen.host, port), sockets


def url_of(listen: ListenAddress, *, tls: bool) -> str:
    """The address as a person on this machine would open it."""
    return listen.url.replace("http:", "https:", 1) if tls else listen.url


def public_url(listen: ListenAddress, *, tls: bool) -> str | None:
    """Where clients reach a listen address; None where it stands for every address of the machine."""
    return None if listen.host in _EVERY_ADDRESS else url_of(listen, tls=tls)


def _reusing(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _hold_little(listening)
    listening.bind((host, port))
    listening.listen(BACKLOG)
    return listening


def _hold_little(listening: socket.socket) -> None:
    """Connections inherit it from the socket that they come in by."""
    if sys.platform == "linux":
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
