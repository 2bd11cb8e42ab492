"""The sentence grammar of the GRID corpus (Cooke et al. 2006): command, colour, preposition, letter, digit, adverb.

A file stem has one code for each of the six words: ``bbaf2n`` is "bin blue at f two now".
"""

from slts.data.clip import Reject

COMMANDS = {"b": "bin", "l": "lay", "p": "place", "s": "set"}
COLOURS = {"b": "blue", "g": "green", "r": "red", "w": "white"}
PREPOSITIONS = {"a": "at", "b": "by", "i": "in", "w": "with"}
LETTERS = {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"}
"""All but w, the only letter whose name has three syllables."""
DIGITS = {"z": "zero"} | dict(
    zip("123456789", ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True)
)
ADVERBS = {"a": "again", "n": "now", "p": "please", "s": "soon"}

SLOTS = (COMMANDS, COLOURS, PREPOSITIONS, LETTERS, DIGITS, ADVERBS)
SENTENCES = 4 * 4 * 4 * 25 * 10 * 4
"""Number of different sentences."""


def sentence(stem: str) -> str:
    """The sentence of a GRID file stem. Raises Reject("file_name") when the stem is no sentence code."""
    codes = stem.lower()
    if len(codes) != len(SLOTS) or any(code not in slot for code, slot in zip(codes, SLOTS, strict=True)):
        raise Reject("file_name", f"'{stem}' is not a GRID sentence code such as bbaf2n")
    return " ".join(slot[code] for code, slot in zip(codes, SLOTS, strict=True))


def stem(number: int) -> str:
    """The file stem of sentence ``number`` in 0..SENTENCES-1, the adverb varying fastest."""
    codes = []
    for slot in reversed(SLOTS):
        number, digit = divmod(number, len(slot))
        codes.append(list(slot)[digit])
    return "".join(reversed(codes))
