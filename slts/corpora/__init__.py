"""Corpus readers: an official layout on disk (or a generator) becomes a list of utterances.

A corpus is one module here, or one that another package names by the entry point ``slts.corpora``, with a function
``utterances(config) -> list[Utterance]``, and one file in ``conf/corpus``. A reader that takes what it finds has
``found(config) -> tuple[list[Utterance], list[Path]]`` instead, with the files that it did not take. One whose ``root``
may be an address has ``ADDRESSES = True``.
"""

import importlib
from pathlib import Path
from types import ModuleType

from slts.data.location import Address
from slts.data.storage import is_address
from slts.data.utterance import Utterance
from slts.errors import UserError
from slts.plugins import load, plugged_in


def load_corpus(name: str, config) -> tuple[list[Utterance], list[Path]]:
    """The utterances of the corpus in module ``slts.corpora.<name>``, ordered by split, then as the reader gives them;
    and the files below the root that it passed over, none for official layouts, which name what belongs to them.

    Raises UserError when the root is missing or holds nothing the reader knows.
    """
    reader = _reader(name)
    if is_address(getattr(config, "root", None)) and not getattr(reader, "ADDRESSES", False):
        raise UserError(
            f"root={Address(config, 'root')}: corpus={name} is read from a folder only; copy it into one (corpus=folder"
            " reads videos from addresses)"
        )
    return reader.found(config) if hasattr(reader, "found") else (reader.utterances(config), [])


def _reader(name: str) -> ModuleType:
    for entry in plugged_in("corpora", name):
        return load(entry)
    return importlib.import_module(f"slts.corpora.{name}")
