"""A model server of our own that can misbehave, down to the byte.

In a test it runs in the test's own event loop (`FakeLLM`), so that a test can hold an answer back, look at
what arrived and see when the other side left. For anything else: `python -m tests.support.fake_llm --port 0`.

The model's name chooses what happens: `SCRIPT[:MANNER]`, such as `answer`, `tools`, `answer:reset`.
Scripts are in `script.py`, manners in `manners.py`; each of `families/` writes a script in a vendor's way.
"""

from tests.support.fake_llm.exchange import Exchange, Received
from tests.support.fake_llm.manners import MANNERS
from tests.support.fake_llm.script import SCRIPTS, Script, answered_model
from tests.support.fake_llm.server import FakeLLM

__all__ = ["MANNERS", "SCRIPTS", "Exchange", "FakeLLM", "Received", "Script", "answered_model"]
