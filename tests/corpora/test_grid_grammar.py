import pytest
from hypothesis import given
from hypothesis import strategies as st

from slts.corpora import grid_grammar
from slts.data.clip import Reject


def test_sentences_of_known_stems():
    assert grid_grammar.sentence("bbaf2n") == "bin blue at f two now"
    assert grid_grammar.sentence("swiz9s") == "set white in z nine soon"
    assert grid_grammar.sentence("lgwazp") == "lay green with a zero please"


@given(st.integers(0, grid_grammar.SENTENCES - 1))
def test_stems_and_sentences_match_one_to_one(number):
    stem = grid_grammar.stem(number)
    words = grid_grammar.sentence(stem).split()
    codes = [
        next(code for code, spoken in slot.items() if spoken == word)
        for slot, word in zip(grid_grammar.SLOTS, words, strict=True)
    ]
    assert "".join(codes) == stem


def test_every_number_has_its_own_stem():
    assert len({grid_grammar.stem(n) for n in range(grid_grammar.SENTENCES)}) == grid_grammar.SENTENCES


@pytest.mark.parametrize("stem", ["", "bbaw2n", "bbaf2", "bbaf2nn", "xbaf2n", "readme"])
def test_other_names_are_rejected(stem):
    with pytest.raises(Reject, match="file_name"):
        grid_grammar.sentence(stem)
