"""One item of a corpus before decoding: what a corpus reader gives and preparation takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slts.data.clip import Clip
from slts.data.media.streams import AS_PLAYERS, Streams
from slts.data.storage import Stored


@dataclass(frozen=True)
class Utterance:
    """One item of a corpus before decoding."""

    key: str
    """Unique in the corpus; letters, digits, - and _ only (it becomes a file stem inside the shards)."""
    split: str
    """train, val or test."""
    speaker: str
    text: str | None
    source: str
    """Where it comes from, for ledgers and messages: a path relative to the corpus root, or a generator's seed."""
    load: Callable[[], Clip]
    """Decodes (or renders) the utterance. Picklable: ``partial`` of a module-level function. Raises Reject.

    With ``video``, it takes the keyword ``span`` of slts.data.media.read_clip."""
    video: Path | Stored | None = None
    """The file whose duration bounds the utterance, where it may be cut into chunks; None where it cannot."""
    streams: Streams = AS_PLAYERS
    """Which streams of ``video`` are read."""
