"""Learning rate as a pure function of the step, so that a checkpoint need not store a scheduler."""

import math


def learning_rate(step: int, steps: int, highest: float, warmup_steps: int) -> float:
    """Linear warm-up to ``highest`` over ``warmup_steps``, then a cosine down to 0 at ``steps`` (section 4.4)."""
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return highest * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
