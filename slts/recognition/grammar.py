"""Sentence grammars: a fixed number of slots, one word of a list in each."""

from dataclasses import dataclass
from functools import cached_property

from slts.corpora import grid_grammar


@dataclass(frozen=True)
class Grammar:
    """All sentences with one word of ``slots[0]``, then one of ``slots[1]``, and so on."""

    slots: tuple[tuple[str, ...], ...]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word once, in the order of the slots."""
        return tuple(dict.fromkeys(word for slot in self.slots for word in slot))

    def parse(self, text: str | None) -> tuple[str, ...] | None:
        """The words of a text, None when it is no sentence of the grammar. Case does not matter."""
        words = tuple((text or "").lower().split())
        fits = len(words) == len(self.slots) and all(w in slot for w, slot in zip(words, self.slots, strict=True))
        return words if fits else None

    def jsgf(self) -> str:
        """The grammar in the Java Speech Grammar Format."""
        sentence = " ".join(f"({' | '.join(slot)})" for slot in self.slots)
        return f"#JSGF V1.0;\ngrammar sentences;\npublic <sentence> = {sentence};\n"


GRID = Grammar(tuple(tuple(slot.values()) for slot in grid_grammar.SLOTS))
"""The grammar of the GRID corpus, which the generated corpus shares."""
