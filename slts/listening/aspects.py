"""What raters are asked of a clip, in the words of ITU-T P.800."""

from slts.metrics.opinion import PREFERENCE

SCALE = {5: "Excellent", 4: "Good", 3: "Fair", 2: "Poor", 1: "Bad"}
"""Absolute category rating."""

QUESTIONS = {
    "intelligibility": "How easy is it to understand what is said?",
    "naturalness": "How natural does the speech sound?",
    "sync": "How well do the lips fit the sound?",
    "visual_quality": "How good is the picture?",
    "overall": "How good is the clip as a whole?",
}
CHOICE = "Which one do you like best?"
"""Asked of all versions of a clip on one page, for the aspect PREFERENCE."""

OF_SOUND = ("intelligibility", "naturalness")
"""Asked of speech: SLTS, section 5.4."""
OF_PICTURES = ("sync", "visual_quality", "overall", PREFERENCE)
"""Asked of drawn lips: Wav2Lip's study."""
ONLY_PICTURES = ("sync", "visual_quality")

DEVICES = {"headphones": "Headphones", "earphones": "Earphones", "loudspeakers": "Loudspeakers"}
