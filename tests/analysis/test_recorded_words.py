"""What a recogniser hears, in words of other clips of the same voice."""

import sys

import numpy as np
import pytest
from conftest import ROOT

from slts.audio.mel import HOP
from slts.data.media import decode_flac, encode_flac
from slts.data.shards import write_shard
from slts.metrics import Undefined

sys.path.insert(0, str(ROOT / "analysis"))
import recorded_words


class Hears:
    """Of a clip whose loudness is n tenths the sentence n; of a silent one none."""

    def words(self, mel):
        loudness = float(mel[len(mel) // 2].exp().max())
        if loudness < 0.01:
            raise Undefined("nothing")
        return [("bin", 10, 20), ("blue", 30, 50)]


def clip(key: str, level: float, speaker: str = "ann", synth: float = 0.0) -> dict:
    noise = np.random.default_rng(0).choice([-1, 1], 16000).astype(np.float32)
    facts = {"speaker": speaker, "text": "Bin blue"}
    sounds = {"flac": encode_flac(level * noise), "synth.flac": encode_flac(synth * noise)}
    return {"key": key, "mp4": b"", "json": facts, **sounds}


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_words, "load_trained", lambda _: Hears())
    monkeypatch.setattr(recorded_words, "read_corpus_json", lambda _: {"shards": [{"file": "train-000000.tar"}]})
    samples = [clip("a", 0.1), clip("b", 0.3), clip("c", 0.5, "bob"), clip("d", 0.0)]
    write_shard(tmp_path / "train-000000.tar", samples).rename(tmp_path / "train-000000.tar")
    return recorded_words.RecordedWords(tmp_path, tmp_path)


def test_words_are_said_by_the_voice_at_their_times_and_never_by_the_clip_itself(words):
    heard = {"a": 0.3, "b": 0.1, "new": 0.1}
    for key, level in heard.items():
        said = np.abs(words.say(clip(key, 0.9, synth=0.2)))
        assert len(said) == 16000 and said.max() == pytest.approx(level, abs=1e-3)
        assert np.flatnonzero(said > 0.01)[[0, -1]] == pytest.approx([10 * HOP, 50 * HOP], abs=80)
        assert not said[20 * HOP : 30 * HOP].any()


def test_where_no_sentence_is_heard_or_no_word_known_the_speech_stays(words):
    for sample in (clip("new", 0.9, synth=0.001), clip("c", 0.9, "bob", synth=0.2), clip("x", 0.9, "cy", synth=0.2)):
        assert np.array_equal(words.say(sample), decode_flac(sample["synth.flac"]))
