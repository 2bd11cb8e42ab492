"""Fetching shards from afar before training asks for them."""

import queue
import threading
from multiprocessing.pool import ThreadPool

from slts.data.order import SampleOrder
from slts.data.shard_list import ShardList
from slts.data.shard_source import Remote
from slts.errors import UserError

CONNECTIONS = 8
"""Shards fetched at once: 500 clips a second where storage takes half a second to answer (analysis/scaling.ipynb)."""


class FetchAhead:
    """Fetches the shards of the current window and of the next, so that training does not wait for them.

    Args:
        source: of the shards.
        order: of the samples; not shared with a sampler.
        shards: in the order's numbering.
    """

    def __init__(self, source: Remote, order: SampleOrder, shards: ShardList):
        self.source, self.order, self.shards = source, order, shards
        self.next_window, self.error = -1, None
        self.wanted: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def reached(self, position: int) -> None:
        """Tells where training is. Raises UserError for what went wrong in the thread."""
        if self.error:
            raise self.error
        if position >= self.next_window:
            current, self.next_window = self.order.window(position)
            following, _ = self.order.window(self.next_window)
            self.wanted.put([*dict.fromkeys([*current, *following])])

    def stop(self) -> None:
        self.wanted.put([])

    def _work(self) -> None:
        with ThreadPool(CONNECTIONS) as connections:
            while numbers := self.wanted.get():
                size = 0
                try:
                    for found in connections.imap(self._fetched, numbers):
                        size += found
                        if size > self.source.limit:
                            raise UserError(
                                f"disk_gb={self.source.limit / 1e9:g} does not hold two windows of shards of "
                                f"{self.source.address}; raise disk_gb or set window_shards lower"
                            )
                except (UserError, OSError) as error:
                    self.error = error
                    return

    def _fetched(self, number: int) -> int:
        """Bytes of a shard, once it is there."""
        return self.source.path(self.shards[number]).stat().st_size
