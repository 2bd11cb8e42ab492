"""Corpus readers: an official layout on disk (or a generator) becomes a list of utterances.

A corpus is one module here with a function ``utterances(config) -> list[Utterance]`` and one file in ``conf/corpus``.
"""

import importlib

from slts.data.utterance import Utterance


def load_corpus(name: str, config) -> list[Utterance]:
    """The utterances of the corpus in module ``slts.corpora.<name>``, ordered by split, then as the reader gives them.

    Raises UserError when the root is missing or holds nothing the reader knows.
    """
    return importlib.import_module(f"slts.corpora.{name}").utterances(config)
