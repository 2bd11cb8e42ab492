"""slts: lip-to-speech synthesis and audio-visual synchronisation.

From Python: ``offset_of``, ``align``, ``score_pair`` and the metrics of slts.metrics.running (``AlignedSTOI`` and the
like), loaded when they are first asked for.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "offset_of": "slts.offsets.alignment",
    "align": "slts.offsets.alignment",
    "score_pair": "slts.metrics.scoring",
    "AlignedSTOI": "slts.metrics.running",
    "AlignedESTOI": "slts.metrics.running",
    "AlignedPESQ": "slts.metrics.running",
    "AlignedMCD": "slts.metrics.running",
}


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
