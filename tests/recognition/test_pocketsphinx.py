from slts.metrics.words import word_error_rate
from slts.recognition.grammar import GRID
from slts.recognition.pocketsphinx import pocketsphinx_transcriber
from slts.recognition.speech import read_speech


def test_sentences_are_heard_whatever_came_before(tiny_corpus):
    clips = list(read_speech(tiny_corpus, "val"))[:3]
    transcribe = pocketsphinx_transcriber(GRID)
    first = [transcribe(clip.audio) for clip in clips]
    again = [transcribe(clip.audio) for clip in reversed(clips)]
    assert first == again[::-1]
    assert word_error_rate([clip.text for clip in clips], first) < 0.5
    assert all(word in GRID.words for text in first for word in text.split())
