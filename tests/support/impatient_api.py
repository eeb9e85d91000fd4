"""The metrics API as it is, but for how long it waits: on a Redis that says nothing, half a second.

A program. What would take a test minutes to see happens in seconds: live streams end after one, or
`LIFETIME`, and three may listen.
"""

from __future__ import annotations

import os
import sys

from weir.events import reader

reader._TIMEOUT_SECONDS = 0.5  # pyright: ignore[reportPrivateUsage] - what this program is for
reader.BLOCK_SECONDS = 0.5
reader.CLAIM_AFTER_SECONDS = 1.5

if __name__ == "__main__":
    # what takes those values over as it is imported comes after they were changed
    from weir.metrics_api.__main__ import main
    from weir.metrics_api.live import hub
    from weir.metrics_api.rest import events

    hub.MOST_LISTENERS = 3
    events.HEARTBEAT_SECONDS = 0.2
    events.LIFETIME_SECONDS = float(os.environ.get("LIFETIME", "1"))
    sys.exit(main())
