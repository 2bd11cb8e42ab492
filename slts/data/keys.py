"""What a file is called in tables, shards and outputs: short where that is enough, never like another one."""

from collections import Counter
from collections.abc import Mapping


def distinct_keys(short: Mapping, long: Mapping) -> dict:
    """A key for each thing: its short name where nobody else could have that, else its long one.

    Letters that differ in case alone count as the same, since on some file systems they are.

    Args:
        short: names by thing; several may be equal.
        long: names of the same things that are not equal, unless in case.
    """
    owners = Counter(name.lower() for thing in short for name in {short[thing], long[thing]})
    return {thing: name if owners[name.lower()] == 1 else long[thing] for thing, name in short.items()}
