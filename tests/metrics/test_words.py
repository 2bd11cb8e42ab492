"""Word error rates counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slts.metrics import Undefined
from slts.metrics.words import WordErrors, normalise, rate_and_interval, word_error_rate, word_errors


@pytest.mark.parametrize(
    ("said", "heard", "substitutions", "deletions", "insertions"),
    [
        ("bin blue at f two now", "bin blue at f two now", 0, 0, 0),
        ("bin blue at f two now", "bin blue at s two now", 1, 0, 0),
        ("bin blue at f two now", "bin blue f two now", 0, 1, 0),
        ("bin blue at f two now", "bin blue at f two two now", 0, 0, 1),
        ("bin blue at f two now", "pin at f two now please", 1, 1, 1),
        ("bin blue at f two now", "", 0, 6, 0),
        ("now", "place red", 1, 0, 1),
        ("", "place red", 0, 0, 2),
        ("", "", 0, 0, 0),
    ],
)
def test_errors_counted_by_hand(said, heard, substitutions, deletions, insertions):
    assert word_errors(said, heard) == WordErrors(substitutions, deletions, insertions, len(said.split()))


def test_the_rate_of_a_set_sums_errors_and_words():
    # 1 error in 2 words, 1 in 6: 2/8, not the mean of the rates, 1/3.
    said, heard = ["lay red", "bin blue at f two now"], ["lay", "bin blue at f two soon"]
    assert word_error_rate(said, heard) == 2 / 8
    assert word_error_rate("now", "place red soon") == 3
    rate, (low, high) = rate_and_interval([word_errors(*pair) for pair in zip(said, heard, strict=True)])
    assert rate == 2 / 8
    # Both clips drawn from the worse one: 2/4; from the better one: 2/12.
    assert (low, high) == pytest.approx((2 / 12, 2 / 4))


def test_no_words_no_rate():
    with pytest.raises(Undefined, match="reference text is empty"):
        word_error_rate(["", " "], ["now", ""])
    with pytest.raises(Undefined):
        word_error_rate([], [])
    assert rate_and_interval([]) == (None, None)
    assert rate_and_interval([WordErrors(words=3)]) == (0.0, None)
    with pytest.raises(ValueError, match="1 references for 2 hypotheses"):
        word_errors(["now"], ["now", "soon"])


WORDS = st.lists(st.sampled_from(["bin", "lay", "a", "now"]), max_size=6)


def edit_distance(one: list[str], other: list[str]) -> int:
    row = list(range(len(other) + 1))
    for i, word in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, against in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != against))
    return row[-1]


@given(WORDS, WORDS)
def test_errors_are_the_edit_distance(said, heard):
    counted = word_errors(" ".join(said), " ".join(heard))
    assert counted.errors == edit_distance(said, heard)
    assert len(heard) - len(said) == counted.insertions - counted.deletions


def test_the_normaliser_is_whispers():
    assert normalise("Set White, with F two: NOW!") == "set white with f 2 now"
    assert normalise("the colour isn't grey") == "the color is not gray"
    assert normalise("set white in o nine soon") == "set white in 09 soon"
