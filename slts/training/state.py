"""state.json of a checkpoint: where training stands, and size and SHA-256 of the files beside it."""

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

from slts.errors import UserError
from slts.folders import read_plain

LARGEST = 1 << 20
"""Bytes of a state.json; that of a thousand ranks has some 120 kB."""


@dataclass
class TrainingState:
    """Where training stands."""

    step: int = 0
    samples: int = 0
    """Samples taken from the endless stream of the loader, over all ranks."""
    best_score: float | int | None = None
    best_step: int | None = None
    tracking_id: str | None = None


def load_state(checkpoint: Path) -> TrainingState:
    """Raises UserError for a state.json that is not of slts train."""
    read = read_state(checkpoint)
    return TrainingState(**{field.name: read[field.name] for field in fields(TrainingState) if field.name in read})


def read_state(checkpoint: Path) -> dict:
    """state.json, every value of its type; names of files lead nowhere else."""
    file = checkpoint / "state.json"
    try:
        state = {"sha256": {}, **json.loads(read_plain(file, LARGEST))}
        for field in fields(TrainingState):
            value = state.get(field.name, field.default)
            if isinstance(value, bool) or not isinstance(value, field.type):
                raise ValueError(f"{field.name} is {value!r}")
            if isinstance(value, int) and value < 0 and field.name != "best_score":
                raise ValueError(f"{field.name} is {value}")
        for key, kind in (("files", int), ("sha256", str)):
            for name, value in state[key].items():
                if not re.fullmatch(r"[\w-]+\.safetensors", name) or not isinstance(value, kind):
                    raise ValueError(f"{key} has {name!r}: {value!r}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise UserError(f"{file} is not of slts train ({reason}); take another checkpoint, or train again") from None
    return state
