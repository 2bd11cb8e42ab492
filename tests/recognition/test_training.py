"""Word models learn from texts alone where words are and how they sound."""

import numpy as np
import pytest
import torch

from slts.recognition.examples import Example, even_spans
from slts.recognition.features import CEPSTRA, WIDTH, cepstra_of, slopes, splice
from slts.recognition.training import PASSES, train_word_models
from slts.recognition.viterbi import viterbi

SLOTS = (("one", "two"), ("red", "blue", "one"), ("now", "soon"))
WORDS = ("one", "two", "red", "blue", "now", "soon")


def clip(rng: np.random.Generator, sounds: dict[str, np.ndarray]) -> tuple[Example, list[tuple[int, int]]]:
    """A sentence of SLOTS in 150 frames; its words, three sounds of 6 to 9 frames each, lie anywhere. Also returns
    where."""
    words = tuple(str(rng.choice(slot)) for slot in SLOTS)
    frames = 0.5 * rng.standard_normal((150, CEPSTRA), dtype=np.float32)
    where, start = [], int(rng.integers(5, 30))
    for word in words:
        end = start
        for sound in sounds[word]:
            length = int(rng.integers(6, 10))
            frames[end : end + length] += sound
            end += length
        where.append((start, end))
        start = end + int(rng.integers(0, 10))
    return Example(torch.from_numpy(frames), words, even_spans(torch.from_numpy(frames).abs(), len(words))), where


def test_words_are_found_and_told_apart():
    rng = np.random.default_rng(0)
    sounds = {word: rng.normal(0, 2, (3, CEPSTRA)).astype(np.float32) for word in WORDS}
    clips = [clip(rng, sounds) for _ in range(30)]
    passes = []

    def record(names):
        for name in names:
            passes.append(name)
            yield name

    models = train_word_models([example for example, _ in clips], WORDS, record)
    assert tuple(passes) == PASSES
    placed = np.array([example.spans for example, _ in clips])
    assert np.abs(placed - np.array([where for _, where in clips])).mean() < 2

    lattice, spoken = models.lattice(SLOTS)
    for _ in range(10):
        example, _ = clip(rng, sounds)
        features = splice(example.cepstra) @ models.projection
        path, _ = viterbi(lattice, models.log_likelihood(features[None], lattice.model), torch.tensor([150]))
        heard = dict.fromkeys(spoken[state] for state in path[0].tolist())
        assert tuple(word for _, word in filter(None, heard)) == example.words


def test_training_needs_no_chance():
    def trained():
        rng = np.random.default_rng(3)
        sounds = {word: rng.normal(0, 2, (3, CEPSTRA)).astype(np.float32) for word in WORDS}
        return train_word_models([clip(rng, sounds)[0] for _ in range(12)], WORDS)

    first, second = trained(), trained()
    for name in ("states", "projection", "means", "variances", "weights", "stay"):
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert torch.isfinite(getattr(first, name)).all()


def test_even_shares_cover_the_loud_part():
    mel = torch.full((100, 80), -11.0)
    mel[20:80] = -2.0
    assert even_spans(mel, 3) == [(20, 40), (40, 60), (60, 80)]
    assert even_spans(mel[:10] * 0, 2) == [(0, 5), (5, 10)]


def test_splicing_sees_the_neighbours():
    cepstra = torch.arange(30.0)[:, None] + 100 * torch.arange(CEPSTRA)
    spliced = splice(cepstra)
    assert spliced.shape == (30, WIDTH)
    assert torch.equal(spliced[10].view(11, CEPSTRA), cepstra[5:16])
    assert torch.equal(spliced[0].view(11, CEPSTRA)[:6], cepstra[:1].expand(6, -1))
    # A straight line has itself, its slope and no curvature.
    still, slope, bend = (spliced @ slopes())[10].view(3, CEPSTRA)
    assert torch.allclose(still, cepstra[10])
    assert torch.allclose(slope, torch.ones(CEPSTRA), atol=1e-4) and torch.allclose(
        bend, torch.zeros(CEPSTRA), atol=1e-3
    )


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_loudness_and_channel_do_not_matter(gain):
    mel = 0.5 * torch.randn(50, 80)
    colour = torch.linspace(0, 1, 80)
    assert torch.allclose(cepstra_of(mel + np.log(gain)), cepstra_of(mel), atol=1e-4)
    assert torch.allclose(cepstra_of(mel + colour), cepstra_of(mel), atol=1e-3)
