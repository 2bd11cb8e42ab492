"""What a system is given to speak or draw from, where ``slts evaluate`` has the choice."""

from slts.systems import need
from slts.systems.contract import MODALITIES, PICTURES
from slts.systems.trained import TrainedRun

CHOICES = {"modalities": (MODALITIES, None), "heard": (MODALITIES, "base"), "protocol": (PICTURES, "own")}
"""Keys: what a system that they concern gives, and their default."""


def chosen_inputs(config, run: TrainedRun, who: str) -> dict[str, str | None]:
    """``modalities`` (av, a or v), ``heard`` (base or data) and ``protocol`` of an evaluation, as its row has them:
    None where the system has no such choice. The system attends to the modalities from now on.

    Raises UserError, which begins with ``who``, where a key is given that does not concern the system.
    """
    for key, (word, usual) in CHOICES.items():
        if config[key] != usual:
            need(run.task, (word,), who, f"{key}={config[key]}")
    if config.modalities:
        run.task.modalities = config.modalities
    inputs = {key: config[key] if word in run.task.gives else None for key, (word, _) in CHOICES.items()}
    return inputs | {"modalities": run.task.modalities if MODALITIES in run.task.gives else None}
