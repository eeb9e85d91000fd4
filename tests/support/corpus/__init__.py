"""Raw requests, each with what it must give: answers, the connection's fate, what the upstream sees.

Every finding about requests becomes an entry here. The same table is run against a real proxy over sockets
and, byte by byte, against the data path in memory.
"""

from tests.support.corpus.bodies import BODIES
from tests.support.corpus.case import Case
from tests.support.corpus.chunks import CHUNKS
from tests.support.corpus.framing import FRAMING
from tests.support.corpus.headers import HEADERS
from tests.support.corpus.limits import LIMITS
from tests.support.corpus.request_lines import REQUEST_LINES
from tests.support.corpus.sequences import SEQUENCES
from tests.support.corpus.targets import TARGETS

CASES: tuple[Case, ...] = (
    *FRAMING,
    *CHUNKS,
    *REQUEST_LINES,
    *TARGETS,
    *HEADERS,
    *LIMITS,
    *BODIES,
    *SEQUENCES,
)

__all__ = ["CASES", "Case"]
