from slts.corpora import grid_grammar
from slts.recognition.grammar import GRID, Grammar


def test_grids_grammar_has_every_sentence_and_no_other():
    assert (len(GRID.slots), len(GRID.words)) == (6, 51)
    for number in range(0, grid_grammar.SENTENCES, 997):
        sentence = grid_grammar.sentence(grid_grammar.stem(number))
        assert GRID.parse(sentence.upper()) == tuple(sentence.split())
    for text in (None, "", "bin blue at f two", "bin blue at f two now now", "bin blue at w two now", "now two f"):
        assert GRID.parse(text) is None


def test_jsgf():
    grammar = Grammar((("lay", "set"), ("red",)))
    assert grammar.jsgf() == "#JSGF V1.0;\ngrammar sentences;\npublic <sentence> = (lay | set) (red);\n"


def test_a_word_of_two_slots_is_one_word():
    assert Grammar((("a", "b"), ("b", "c"))).words == ("a", "b", "c")
