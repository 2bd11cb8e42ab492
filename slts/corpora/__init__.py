"""Corpus readers: an official layout on disk (or a generator) becomes a list of utterances.

A corpus is one module here with a function ``utterances(config) -> list[Utterance]`` and one file in ``conf/corpus``.
A reader that takes what it finds has ``unread(config) -> list[Path]`` too: the files that it did not take.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slts.data.clip import Clip
from slts.data.media import Streams


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
    video: Path | None = None
    """The file whose duration bounds the utterance, where it may be cut into chunks; None where it cannot."""
    streams: Streams = Streams()
    """Which streams of ``video`` are read."""


def load_corpus(name: str, config) -> list[Utterance]:
    """The utterances of the corpus in module ``slts.corpora.<name>``, ordered by split, then as the reader gives them.

    Raises UserError when the root is missing or holds nothing the reader knows.
    """
    return importlib.import_module(f"slts.corpora.{name}").utterances(config)


def unread_files(name: str, config) -> list[Path]:
    """Files below the root that the reader passed over; empty for official layouts, which name what belongs to them."""
    reader = importlib.import_module(f"slts.corpora.{name}")
    return reader.unread(config) if hasattr(reader, "unread") else []
