"""Train, validation and test splits: the paper's seeded random 90/5/5 and explicit lists."""

import random

SPLITS = ("train", "val", "test")
"""In the order in which a corpus lists its utterances."""


def seeded_split(names: list[str], speaker: str, seed: int) -> dict[str, str]:
    """A random 90/5/5 split of one speaker's clips by (seed, speaker), whatever the order of the names (SLTS 4.1).

    Three clips or more leave at least one each for val and test.
    """
    shuffled = sorted(names)
    random.Random(f"{seed}/{speaker}").shuffle(shuffled)
    held_out = max(1, round(len(names) / 20)) if len(names) >= 3 else 0
    return {name: "val" if i < held_out else "test" if i < 2 * held_out else "train" for i, name in enumerate(shuffled)}
