"""An upstream that misbehaves to the byte, and a table of its misdeeds with what the client must get of each.

Every finding about answers becomes an entry here.
"""

from tests.support.crooked.bodies import BODIES
from tests.support.crooked.compression import COMPRESSION
from tests.support.crooked.connections import CONNECTIONS
from tests.support.crooked.framing import FRAMING
from tests.support.crooked.heads import HEADS
from tests.support.crooked.misdeed import Misdeed
from tests.support.crooked.streams import STREAMS

MISDEEDS: tuple[Misdeed, ...] = (*HEADS, *FRAMING, *CONNECTIONS, *BODIES, *COMPRESSION, *STREAMS)

__all__ = ["MISDEEDS", "Misdeed"]
