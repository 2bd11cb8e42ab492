"""Attacks, one kind a file: each module's ``attacks`` gives those of one sort of file or argument."""

from collections.abc import Iterator

from attacks import arguments, checkpoints, configs, corpora, histories, media, tables
from attacks.scene import Attack

KINDS = (configs, corpora, checkpoints, histories, media, arguments, tables)


def every_attack() -> Iterator[Attack]:
    for kind in KINDS:
        yield from kind.attacks()
