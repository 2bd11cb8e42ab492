"""YAML that may be somebody else's, read without what a few bytes of it could do: neither aliases, which a few lines
multiply to any size, nor objects, nor nesting without end."""

from pathlib import Path

import yaml

from slts.folders import read_plain

DEEPEST = 20
"""Groups within groups; ours go five deep."""


def read_yaml(file: Path, largest: int) -> object:
    """What stands in a file of at most ``largest`` bytes; None for an empty one.

    Raises:
        OSError: it cannot be read.
        ValueError: one line, what about it is not plain.
    """
    text = read_plain(file, largest)
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):  # one by one: what is nested without end is not read to its end
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has YAML aliases")
            if depth > DEEPEST:
                raise ValueError(f"nested deeper than {DEEPEST}")
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
