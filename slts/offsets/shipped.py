"""The estimator that comes with slts, for people it was never trained on."""

from pathlib import Path

from slts.errors import UserError
from slts.systems.trained import TrainedRun

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "offset_estimator.safetensors"


def load_shipped() -> TrainedRun:
    """The shipped estimator, in evaluation mode. Raises UserError where this build has none."""
    if not WEIGHTS.is_file():
        raise UserError(
            "this build of slts ships no weights of an offset estimator; give run=RUN of slts train, weights=FILE of"
            " SyncNet, or for shards method=regression"
        )
    raise UserError(f"{WEIGHTS}: this version of slts does not read these weights; install a newer one")
