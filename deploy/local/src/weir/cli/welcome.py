"""What `weir run` says when everything is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    from pathlib import Path

    from weir.cli.launcher import Addresses
    from weir.cli.upstream import Upstream


def welcome(addresses: Addresses, upstream: Upstream, data_dir: Path, seconds: float) -> str:
    """A block of lines: where clients connect, where people look, and a request to try."""
    base_url = f"{addresses.proxy}/v1"
    body = f'{{"model": "{upstream.model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    return f"""
Weir is ready ({seconds:.1f} s).

  Base URL   {base_url}    for clients: OPENAI_BASE_URL
  Dashboard  {addresses.dashboard}
  Upstream   {upstream.description}
  Data       {data_dir.resolve()}, Redis at {mask_url(addresses.redis)}

Try it:
  curl {base_url}/chat/completions -H 'Content-Type: application/json' \\
    -d '{body}'

Ctrl-C stops everything.
"""
