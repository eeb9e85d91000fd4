"""Made-up clients that keep asking the demo model, so that the dashboard has something to show.

    python demo_traffic.py http://lb:8001

Ends with SIGTERM. A proxy that is away is asked again a little later.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

CLIENTS = 3
TIMEOUT_SECONDS = 60.0
PAUSE_SECONDS = 2.0
"""How long a client thinks between two questions, on average."""
USERS = ("ada", "alan", "barbara", "edsger", "grace", "ken")
PROJECTS = ("assistant", "search", "nightly")
QUESTIONS = ("What is a weir?", "How is the flow of a river measured?", "Tell me about streams.")


def ask(address: str) -> int:
    """Send one request, read its answer to the end and return the status."""
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": random.choice(QUESTIONS)}],  # noqa: S311 - no secret
        "stream": random.random() < 0.7,  # noqa: PLR2004, S311 - most chats are streamed
    }
    headers = {
        "Content-Type": "application/json",
        "x-weir-user": random.choice(USERS),  # noqa: S311 - no secret
        "x-weir-project": random.choice(PROJECTS),  # noqa: S311 - no secret
    }
    connection = HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def keep_asking(address: str) -> None:
    """One client: ask, think, ask again, for ever."""
    while True:
        try:
            ask(address)
        except (OSError, HTTPException) as error:
            sys.stderr.write(f"demo: no answer from {address}: {error or type(error).__name__}\n")
        time.sleep(random.expovariate(1 / PAUSE_SECONDS))


def leave(_signal: int, _frame: object) -> None:
    os._exit(0)


def main() -> None:
    address = urlsplit(sys.argv[1]).netloc
    # the first process of a container is not ended by a signal that it does not handle
    signal.signal(signal.SIGTERM, leave)
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in range(CLIENTS):
            clients.submit(keep_asking, address)


if __name__ == "__main__":
    main()
