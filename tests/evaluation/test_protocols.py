"""What drawn lips are to say: lists by seed, and sound stretched to a picture."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from slts.data.batch import Batch
from slts.data.dataset import ShardDataset
from slts.data.loader import evaluation_loader
from slts.evaluation import protocols
from slts.evaluation.protocols import DUBBED, RANDOM, TTS, Said, pair_list, stretched, word_counts

KEYS = ["a1", "a2", "a3", "b1", "b2"]
SPEAKERS = {key: key[0] for key in KEYS}
TEXTS = {"a1": "bin red at a", "a2": "lay red at b", "a3": "set blue in c", "b1": "bin red at z", "b2": "set blue by c"}


def test_a_random_sound_is_somebody_elses_and_the_seed_fixes_it():
    chosen = pair_list(KEYS, SPEAKERS, {}, 0)
    assert all(SPEAKERS[key] != SPEAKERS[other] for key, other in chosen.items()) and set(chosen) == set(KEYS)
    assert chosen == pair_list(KEYS[::-1], SPEAKERS, {}, 0)
    assert any(pair_list(KEYS, SPEAKERS, {}, seed) != chosen for seed in range(1, 5))


def test_of_one_person_another_clip_is_taken():
    chosen = pair_list(KEYS[:3], SPEAKERS, {}, 0)
    assert all(key != other for key, other in chosen.items())


def test_dubbed_sound_has_the_most_words_in_common():
    chosen = pair_list(KEYS, SPEAKERS, TEXTS, 0)
    assert chosen["a1"] == "b1" and chosen["a3"] == "b2" and chosen["b2"] == "a3"


def test_words_that_come_twice_count_twice():
    counts = word_counts(["a b a", "a a c", "b c"]).toarray()
    assert (counts @ counts.T).tolist() == [[3, 2, 1], [2, 3, 1], [1, 1, 2]]


def test_pairs_are_those_of_a_count_clip_by_clip():
    rng = np.random.default_rng(0)
    texts = {f"k{i:02}": " ".join(rng.choice(list("abcde"), rng.integers(1, 7))) for i in range(40)}
    speakers = {key: f"s{rng.integers(3)}" for key in texts}
    words = {key: Counter(text.split()) for key, text in texts.items()}
    for key, chosen in pair_list([*texts], speakers, texts, 1).items():
        common = {other: (words[key] & words[other]).total() for other in texts if speakers[other] != speakers[key]}
        assert common[chosen] == max(common.values())


@pytest.mark.parametrize("protocol", [RANDOM, DUBBED])
def test_no_picture_is_decoded_for_what_is_said(protocol, tiny_corpus, monkeypatch):
    dataset = ShardDataset(tiny_corpus, "test", 48, 3)
    [batch] = evaluation_loader(dataset, len(dataset))
    monkeypatch.setattr("slts.data.dataset.decode_picture", None)
    said = Said(protocol, tiny_corpus, "test", dataset, 0)
    of, places = said.of(batch), {key: place for place, key in enumerate(batch.key)}
    speakers = dict(zip(batch.key, batch.speaker.tolist(), strict=True))
    for key, other in said.list.items():
        assert speakers[key] != speakers[other]
        if protocol == RANDOM:
            assert torch.equal(of[places[key]], batch.audio[places[other]])


@pytest.mark.parametrize("share", [0.7, 1.0, 1.6])
def test_sound_is_stretched_at_its_pitch(share):
    tone = np.sin(2 * np.pi * 400 * np.arange(32000) / 16000).astype(np.float32)
    found = stretched(tone, round(32000 * share))
    assert len(found) == round(32000 * share)
    middle = found[len(found) // 2 - 4000 : len(found) // 2 + 4000]
    assert abs(np.argmax(np.abs(np.fft.rfft(middle))) * 2 - 400) <= 4
    assert np.abs(found[-len(found) // 10 :]).max() > 0.5  # to the end


def test_synthetic_speech_is_of_any_text(monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr(protocols, "read_facts", lambda *_: {"a": {"text": "Well, 42 of them came home."}})
    said = Said(TTS, Path(), "test", SimpleNamespace(keys=["a"]), 0)
    batch = Batch(
        video=torch.zeros(1, 75, 1, 4, 4, dtype=torch.uint8), recorded=torch.zeros(1, 48000), frames=torch.tensor([75]),
        fps=torch.tensor([25.0]), speaker=torch.zeros(1), offset_ms=torch.zeros(1), key=["a"],
    )  # fmt: skip
    sound = said.of(batch)[0]
    assert len(sound) == 48000 and (sound.abs() > 0.01).float().mean() > 0.2
