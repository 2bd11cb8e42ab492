"""Learning rate as a pure function of the step, so that a checkpoint need not store a scheduler."""

import math
from collections.abc import Sequence


def learning_rate(
    step: int, steps: int, highest: float, warmup_steps: int, schedule: str = "cosine", drops: Sequence[int] = ()
) -> float:
    """Linear warm-up to ``highest`` over ``warmup_steps``, then by ``schedule``: a cosine down to 0 at ``steps``
    (section 4.4), ``constant``, or ``steps``, a tenth from each of ``drops`` on."""
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    if schedule != "cosine":
        return highest * 0.1 ** sum(step >= drop for drop in drops if schedule == "steps")
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return highest * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
