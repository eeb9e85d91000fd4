"""The health check of Weir's images: is `/healthz` answered with 200?

    python healthcheck.py WEIR_API_LISTEN

The argument names the setting that says where the service listens, so that another port is found as well.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 2.0


def main() -> int:
    """The exit code: 0 when healthy. One line on stderr says why not."""
    port = os.environ[sys.argv[1]].rpartition(":")[2]
    connection = HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"/healthz on port {port}: {error or type(error).__name__}\n")
        return 1
    finally:
        connection.close()
    if status != 200:  # noqa: PLR2004 - HTTP's own number; http.HTTPStatus costs an import each time
        sys.stderr.write(f"/healthz on port {port}: status {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
