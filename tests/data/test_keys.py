"""Keys are unique, and short where that is enough."""

from hypothesis import given
from hypothesis import strategies as st

from slts.data.keys import distinct_keys


def test_the_long_name_where_the_short_is_not_enough():
    long = {"a": "clip.mp4", "b": "clip.mkv", "c": "other.mp4", "d": "Other2.mp4", "e": "other2.mkv"}
    short = {thing: name.partition(".")[0] for thing, name in long.items()}
    assert distinct_keys(short, long) == long | {"c": "other"}


def test_a_short_name_that_is_anothers_long_one_is_not_taken():
    assert distinct_keys({1: "x", 2: "x", 3: "x.a"}, {1: "x.a", 2: "x.b", 3: "x.a.b"}) == {
        1: "x.a",
        2: "x.b",
        3: "x.a.b",
    }


@given(st.sets(st.text("ab.", min_size=1, max_size=6), max_size=12))
def test_keys_are_unique(names):
    long = {name: name for name in names}
    keys = distinct_keys({name: name.rpartition(".")[0] or name for name in names}, long)
    assert len(set(keys.values())) == len(names)
