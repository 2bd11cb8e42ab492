"""The order in which a rater hears clips: balanced over raters, and different for each."""

import hashlib

import numpy as np


def balanced_square(n: int) -> np.ndarray:
    """A Latin square (n, n) after E. J. Williams (1949): row 0 is 0, 1, n-1, 2, n-2, ..., the others add 1, 2, ...

    For even n each system follows each other one in one row; for odd n it does so with the mirrored rows added.
    """
    first = [place // 2 + 1 if place % 2 else (n - place // 2) % n for place in range(n)]
    return (np.array(first) + np.arange(n)[:, None]) % n


def generator(seed: int, token: str) -> np.random.Generator:
    """The chance of one rater."""
    return np.random.default_rng([seed, *hashlib.sha256(token.encode()).digest()])


def hearing_order(clips: int, systems: int, rater: int, seed: int, own: np.random.Generator) -> list[tuple[int, int]]:
    """Every version of every clip once, (clip, system), in rounds: each round has every clip in one version.

    Of ``systems`` raters that follow each other, each has every system once at each place of the test, and every clip
    once in each version in each round; so of any number of raters the counts differ by at most 1. Within a rater's
    test the versions of a clip never follow each other, if there are two clips.

    Args:
        clips, systems: how many there are.
        rater: number of the rater, from 0.
        seed: of the test.
        own: the rater's chance, which shuffles the clips.
    """
    square, (block, row) = balanced_square(systems), divmod(rater, systems)
    if systems % 2 and block % 2:
        square = square[:, ::-1]
    # Clip c takes row + c of the square. Raters of a block share which of these rows stands at which place, so that
    # places are balanced as well; among the clips of one row, each rater's own chance decides.
    rows, shared = np.arange(clips) % systems, np.random.default_rng([seed, block])
    order: list[tuple[int, int]] = []
    last = None
    for heard in range(systems):
        places = shared.permutation(rows)
        while clips > 1 and places[0] == last:
            places = shared.permutation(rows)
        last = places[-1]
        waiting = {one: own.permutation(np.flatnonzero(rows == one)).tolist() for one in set(rows.tolist())}
        order += [(waiting[one].pop(), int(square[(row + one) % systems, heard])) for one in places.tolist()]
    return order


def with_checks(trials: list, checks: list, every: int, own: np.random.Generator) -> list:
    """The trials, and one of ``checks`` at random in each whole stretch of ``every``, never first; 0 is none."""
    mixed = list(trials)
    stretches = range(len(trials) // every) if every else ()
    for stretch in reversed(stretches):
        mixed.insert(stretch * every + int(own.integers(1, every + 1)), checks[int(own.integers(len(checks)))])
    return mixed
