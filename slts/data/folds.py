"""Folds of a corpus's training clips: each clip is in one of them, told by its key alone.

A run that left a fold out has not seen its clips, and what it says of them is as good as what it says of others
(cross-fitting).
"""

import hashlib
import re
from dataclasses import dataclass

from slts.errors import UserError


def fold_of(key: str, folds: int) -> int:
    """The SHA-256 of the key, as a number, modulo ``folds``."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % folds


@dataclass(frozen=True)
class Fold:
    """One of ``folds`` folds, written NUMBER/FOLDS, counted from 0."""

    number: int
    folds: int

    @classmethod
    def of(cls, text: str) -> "Fold":
        """Raises UserError for what is no fold."""
        found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
        fold = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not fold.number < fold.folds or fold.folds < 2:
            raise UserError(f"leave_out={text}: must be NUMBER/FOLDS, 0/2 or 1/2 for the halves of the training clips")
        return fold

    def __str__(self) -> str:
        return f"{self.number}/{self.folds}"

    def holds(self, key: str) -> bool:
        return fold_of(key, self.folds) == self.number
