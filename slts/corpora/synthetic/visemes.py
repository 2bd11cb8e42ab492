"""Phones to continuous mouth movements: viseme targets blended by dominance functions (after Cohen & Massaro 1993).

Each phone pulls every articulator towards its target with a strength that falls off around the phone's core; the
state at any instant is the weighted mean of all targets. Dominance is symmetric in time, so that on the average the
mouth neither leads nor lags the sound.
"""

import numpy as np

ARTICULATORS = ("jaw", "lips", "width", "round", "tuck", "tongue", "tip")
"""jaw: 0 closed .. 1 low; lips: gap between them, 0 touching .. 1 wide, negative pressed; width: -1 narrow .. 1 spread;
round: protrusion 0..1; tuck: lower lip under the upper teeth 0..1; tongue: body height 0..1; tip: 1 between the teeth.
"""

REST = (0.05, 0.02, 0.0, 0.0, 0.0, 0.3, 0.0)

# Targets in the order of ARTICULATORS.
_TARGETS = {
    "bilabial": (0.12, -0.18, 0.0, 0.05, 0.0, 0.3, 0.0),
    "labiodental": (0.15, 0.12, 0.1, 0.0, 1.0, 0.3, 0.0),
    "dental": (0.22, 0.30, 0.1, 0.0, 0.0, 0.6, 1.0),
    "alveolar": (0.20, 0.30, 0.2, 0.0, 0.0, 0.75, 0.4),
    "lateral": (0.32, 0.42, 0.1, 0.0, 0.0, 0.8, 0.8),
    "sibilant": (0.05, 0.36, 0.55, 0.0, 0.0, 0.55, 0.1),
    "postalveolar": (0.10, 0.32, -0.4, 0.7, 0.0, 0.6, 0.0),
    "velar": (0.28, 0.35, 0.1, 0.0, 0.0, 0.5, 0.0),
    "glottal": (0.30, 0.35, 0.0, 0.0, 0.0, 0.2, 0.0),
    "rhotic": (0.25, 0.26, -0.35, 0.55, 0.0, 0.45, 0.0),
    "palatal": (0.18, 0.28, 0.5, 0.0, 0.0, 0.7, 0.0),
    "w": (0.18, 0.10, -1.0, 1.0, 0.0, 0.3, 0.0),
    "schwa": (0.38, 0.42, 0.0, 0.0, 0.0, 0.3, 0.0),
    "i": (0.25, 0.42, 0.9, 0.0, 0.0, 0.7, 0.0),
    "I": (0.36, 0.45, 0.5, 0.0, 0.0, 0.55, 0.0),
    "E": (0.58, 0.64, 0.5, 0.0, 0.0, 0.4, 0.0),
    "a": (0.90, 0.92, 0.3, 0.0, 0.0, 0.15, 0.0),
    "A": (0.95, 0.90, -0.1, 0.1, 0.0, 0.05, 0.0),
    "V": (0.70, 0.72, 0.0, 0.0, 0.0, 0.2, 0.0),
    "O": (0.72, 0.66, -0.6, 0.7, 0.0, 0.1, 0.0),
    "U": (0.38, 0.34, -0.6, 0.75, 0.0, 0.3, 0.0),
    "u": (0.25, 0.22, -0.9, 0.95, 0.0, 0.4, 0.0),
}

VISEMES = {
    "p": ("bilabial",), "b": ("bilabial",), "m": ("bilabial",), "f": ("labiodental",), "v": ("labiodental",),
    "T": ("dental",), "D": ("dental",), "t": ("alveolar",), "d": ("alveolar",), "n": ("alveolar",),
    "l": ("lateral",), "s": ("sibilant",), "z": ("sibilant",), "S": ("postalveolar",), "Z": ("postalveolar",),
    "tS": ("postalveolar",), "dZ": ("postalveolar",), "k": ("velar",), "g": ("velar",), "N": ("velar",),
    "x": ("velar",), "h": ("glottal",), "?": ("glottal",), "r": ("rhotic",), "j": ("palatal",), ";": ("palatal",),
    "w": ("w",), "@": ("schwa",), "3": ("rhotic",), "3:": ("rhotic",), "i": ("i",), "i:": ("i",), "I": ("I",),
    "e": ("E",), "e:": ("E",), "E": ("E",), "a": ("a",), "a:": ("a",), "A": ("A",), "A:": ("A",), "A@": ("A",),
    "0": ("O",), "O": ("O",), "O:": ("O",), "o": ("O",), "o:": ("O",), "V": ("V",), "U": ("U",),
    "u": ("u",), "u:": ("u",),
    "eI": ("E", "i"), "aI": ("a", "I"), "OI": ("O", "I"), "aU": ("a", "U"), "oU": ("O", "U"), "i@": ("i", "schwa"),
    "I@": ("I", "schwa"), "e@": ("E", "schwa"), "o@": ("O", "schwa"), "O@": ("O", "schwa"), "U@": ("U", "schwa"),
}  # fmt: skip
"""The visemes of each phone of espeak's English voices; espeak gives a diphthong as one phone of two visemes."""

# How strongly a viseme insists on an articulator, where that is not 1: what makes the sound must be reached (lips shut
# in m, teeth on the lip in f), the rest is left to the neighbours (the lips in t or k).
_INSISTENCE = {
    "bilabial": {"lips": 12.0, "width": 0.3, "round": 0.3, "tuck": 2.0, "tongue": 0.1},
    "labiodental": {"lips": 4.0, "tuck": 8.0, "width": 0.4, "round": 0.4, "tongue": 0.2},
    "dental": {"lips": 0.8, "round": 0.3, "width": 0.3, "tongue": 2.0, "tip": 4.0},
    "alveolar": {"jaw": 0.8, "lips": 0.6, "round": 0.2, "width": 0.2, "tongue": 2.0},
    "lateral": {"lips": 0.6, "round": 0.3, "width": 0.3, "tongue": 2.5, "tip": 2.0},
    "sibilant": {"jaw": 3.0, "lips": 1.2, "round": 0.4, "width": 0.7},
    "postalveolar": {"jaw": 2.0, "round": 1.5},
    "velar": {"jaw": 0.5, "lips": 0.4, "round": 0.1, "width": 0.1},
    "glottal": {"jaw": 0.2, "lips": 0.2, "round": 0.1, "width": 0.1, "tongue": 0.1},
    "rhotic": {"lips": 0.7},
    "w": {"lips": 4.0, "round": 4.0, "width": 4.0},
    "schwa": {"jaw": 0.4, "lips": 0.4, "round": 0.2, "width": 0.2},
    "u": {"round": 2.0, "width": 2.0},
}
_SPREAD = np.array([0.045, 0.032, 0.070, 0.070, 0.032, 0.040, 0.032])
"""Seconds over which dominance falls to 1/e beyond the core, per articulator, at coarticulation 1."""
_SHARPEST = 0.006
"""Seconds of the same at coarticulation 0."""
_CORE = 0.5
"""Part of a segment over which its dominance is full."""


def _segments(phones: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """(start, end, viseme), diphthongs cut in two at 55 % of their length."""
    segments = []
    for start, end, phone in phones:
        visemes = VISEMES[phone if phone in VISEMES else phone.rstrip("#[-2")]
        cuts = [start, end] if len(visemes) == 1 else [start, start + 0.55 * (end - start), end]
        segments += zip(cuts, cuts[1:], visemes, strict=False)
    return segments


def articulate(phones: list[tuple[float, float, str]], times: np.ndarray, coarticulation: float = 1.0):
    """The mouth at ``times`` (T,) seconds while ``phones`` (start, end, espeak phone) are spoken.

    ``coarticulation`` >= 0 scales how far neighbouring phones blend. Returns the state (T, len(ARTICULATORS)), float64,
    in the order of ARTICULATORS, and the share of rest (T,) in 0..1, which is 1 far from speech.
    """
    segments = _segments(phones)
    starts, ends = np.array([s[:2] for s in segments]).T
    visemes = [viseme for *_, viseme in segments]
    targets = np.array([_TARGETS[v] for v in visemes] + [REST])
    insistence = np.array([[_INSISTENCE.get(v, {}).get(a, 1.0) for a in ARTICULATORS] for v in visemes])
    spread = np.maximum(coarticulation * _SPREAD, _SHARPEST)

    beyond = np.abs(times[:, None] - (starts + ends) / 2) - _CORE * (ends - starts) / 2
    dominance = insistence * np.exp(-((np.maximum(beyond, 0)[..., None] / spread) ** 2))
    silent = np.maximum(np.maximum(starts[0] - times, times - ends[-1]), -0.5)
    rest = 1 / (1 + np.exp(-np.clip(silent[:, None] / (0.5 * spread), -50, 50))) + 1e-9
    dominance = np.concatenate([dominance, rest[:, None]], 1)
    dominance /= dominance.sum(1, keepdims=True)
    return np.einsum("tpa,pa->ta", dominance, targets), dominance[:, -1, 1]
