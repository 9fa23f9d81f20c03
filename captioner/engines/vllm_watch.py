"""Waking a step of vLLM's offline engine that would wait for ever.

vLLM 0.32 marks an engine whose process was killed (by the system for its memory, by a broken device) as dead, but
`step` goes on waiting for its next output. A watching thread puts an error where that output would come.
"""

import threading
from collections.abc import Callable
from typing import Any

_EVERY_S = 0.5


class Watch:
    """Watches one engine at a time; an engine inside this process has nothing to watch."""

    def __init__(self, death: Callable[[], Exception]) -> None:
        """`death` makes the error that the waiting step is to raise."""
        self._death = death
        self._core: Any = None
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="vllm-watch", daemon=True).start()

    def over(self, llm: Any) -> None:
        """Watch this engine from now on."""
        self._core = llm.llm_engine.engine_core

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(_EVERY_S):
            core = self._core
            if getattr(getattr(core, "resources", None), "engine_dead", False):
                self._core = None
                core.outputs_queue.put_nowait(self._death())
