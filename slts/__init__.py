"""slts: lip-to-speech synthesis and audio-visual synchronisation.

From Python: ``offset_of``, ``align`` and ``score_pair``, loaded when they are first asked for.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "offset_of": "slts.offsets.alignment",
    "align": "slts.offsets.alignment",
    "score_pair": "slts.metrics.scoring",
}


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
