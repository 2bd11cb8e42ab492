"""Balance, not chance, decides which version is heard first."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from slts.listening.order import balanced_square, generator, hearing_order, with_checks

RATERS = 12


def orders(clips: int, systems: int, raters: int = RATERS, seed: int = 0) -> list[list[tuple[int, int]]]:
    return [hearing_order(clips, systems, i, seed, generator(seed, f"token{i}")) for i in range(raters)]


def spread(counts: Counter, systems: int) -> int:
    seen = [counts[system] for system in range(systems)]
    return max(seen) - min(seen)


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_in_the_square_each_follows_each_once(n):
    square = balanced_square(n)
    assert all(set(line) == set(range(n)) for line in (*square, *square.T))
    follows = Counter((a, b) for row in square.tolist() for a, b in pairwise(row))
    assert set(follows.values()) == {1} and len(follows) == n * (n - 1)


def test_an_odd_square_needs_its_mirror():
    square = balanced_square(5)
    rows = [*square.tolist(), *square[:, ::-1].tolist()]
    follows = Counter((a, b) for row in rows for a, b in pairwise(row))
    assert set(follows.values()) == {2} and all(set(line) == set(range(5)) for line in (*square, *square.T))


@pytest.mark.parametrize(("clips", "systems"), [(10, 4), (10, 5), (7, 3), (3, 6), (2, 2), (1, 4)])
def test_twelve_raters_hear_each_version_equally_often_at_each_place(clips, systems):
    found = orders(clips, systems)
    for order in found:
        assert sorted(order) == [(clip, system) for clip in range(clips) for system in range(systems)]
        assert clips == 1 or all(one[0] != other[0] for one, other in pairwise(order))
    for place in range(clips * systems):
        assert spread(Counter(order[place][1] for order in found), systems) <= 1
    for clip in range(clips):
        versions = [[system for heard, system in order if heard == clip] for order in found]
        for heard in range(systems):
            assert spread(Counter(one[heard] for one in versions), systems) <= 1


def test_four_systems_are_exactly_balanced_over_twelve_raters():
    for place in zip(*orders(10, 4), strict=True):
        assert set(Counter(system for _, system in place).values()) == {3}


def test_every_rater_has_an_order_of_their_own_which_is_the_same_again():
    found = orders(10, 4)
    assert len({tuple(order) for order in found}) == RATERS
    assert found == orders(10, 4) != orders(10, 4, seed=1)
    one, other = (hearing_order(10, 4, 0, 0, generator(0, token)) for token in ("a", "b"))
    assert one != other


def test_checks_are_spread_and_never_first():
    own = np.random.default_rng(0)
    for _ in range(50):
        mixed = with_checks(list(range(40)), ["check"], 15, own)
        places = [i for i, one in enumerate(mixed) if one == "check"]
        assert [one for one in mixed if one != "check"] == list(range(40)) and len(places) == 2
        assert 1 <= places[0] <= 15 < places[1] <= 31
    assert with_checks([1, 2], ["check"], 0, own) == [1, 2] == with_checks([1, 2], ["check"], 3, own)
