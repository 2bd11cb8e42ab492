"""The Viterbi search against every path there is, and words found wherever they lie."""

from itertools import product

import pytest
import torch

from slts.metrics import Undefined
from slts.recognition.features import CEPSTRA, WIDTH
from slts.recognition.grammar import Grammar
from slts.recognition.trained import TrainedRecogniser
from slts.recognition.viterbi import stack, viterbi
from slts.recognition.word_models import PAUSE, WordModels

TINY = Grammar((("a", "b"), ("b", "c")))
STATES = {"a": 1, "b": 2, "c": 1}


def models(seed: int = 0, gaussians: int = 1) -> WordModels:
    draw = torch.Generator().manual_seed(seed)
    count = 1 + sum(STATES.values())
    return WordModels(
        tuple(STATES),
        torch.tensor([*STATES.values()]),
        torch.eye(WIDTH)[:, :3],
        torch.randn(count, gaussians, 3, generator=draw),
        0.5 + torch.rand(count, gaussians, 3, generator=draw),
        torch.full((count, gaussians), 1 / gaussians),
        0.2 + 0.6 * torch.rand(count, generator=draw),
    )


def sentences_and_chains(words: WordModels) -> list[tuple[tuple[str, str], list[int]]]:
    """Every sentence with and without each pause, as the models it goes through."""
    chains = []
    for said in product(*TINY.slots):
        for pauses in product((0, 1), repeat=3):
            chain = [PAUSE] * pauses[0]
            for word, pause in zip(said, pauses[1:], strict=True):
                chain += words.models_of(word) + [PAUSE] * pause
            chains.append((said, chain))
    return chains


def best_by_brute_force(words: WordModels, emitted: torch.Tensor) -> tuple[tuple[str, str] | None, float]:
    """Over all sentences and all ways to spend the frames in their states."""
    best, best_score = None, -torch.inf
    for said, chain in sentences_and_chains(words):
        for cuts in product((0, 1), repeat=len(emitted) - 1):
            if sum(cuts) != len(chain) - 1:
                continue
            place, score = 0, float(emitted[0, chain[0]])
            for t, moved in enumerate(cuts, 1):
                chance = words.stay[chain[place]]
                score += float((1 - chance).log() if moved else chance.log())
                place += moved
                score += float(emitted[t, chain[place]])
            if score > best_score:
                best, best_score = said, score
    return best, best_score


@pytest.mark.parametrize("seed", range(12))
def test_the_search_is_exact(seed):
    words = models(seed)
    features = 2 * torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))
    emitted = words.log_likelihood(features[None], torch.arange(5)[None])[0]
    lattice, spoken = words.lattice(TINY.slots)
    path, total = viterbi(lattice, words.log_likelihood(features[None], lattice.model), torch.tensor([8]))
    said, score = best_by_brute_force(words, emitted)
    assert float(total) == pytest.approx(score, rel=1e-4)
    assert tuple(word for _, word in filter(None, dict.fromkeys(spoken[s] for s in path[0].tolist()))) == said


def test_clips_of_a_batch_are_searched_as_if_alone():
    words = models()
    clips = [torch.randn(t, 3) for t in (5, 9, 7)]
    chains = [words.lattice(slots)[0] for slots in ([["a"], ["b"]], [["b"], ["c"]], TINY.slots)]
    together = stack(chains)
    padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=7.0)
    emitted = words.log_likelihood(padded, together.model)
    paths, totals = viterbi(together, emitted, torch.tensor([5, 9, 7]))
    for row, (chain, clip) in enumerate(zip(chains, clips, strict=True)):
        path, total = viterbi(chain, words.log_likelihood(clip[None], chain.model), torch.tensor([len(clip)]))
        assert float(totals[row]) == pytest.approx(float(total), rel=1e-5)
        assert paths[row, : len(clip)].tolist() == path[0].tolist()


def test_densities_are_those_of_gaussian_mixtures():
    words = models(1, gaussians=2)
    features = torch.randn(4, 3)
    constant = -1.5 * torch.log(torch.tensor(2 * torch.pi))
    each = torch.distributions.Normal(words.means, words.variances.sqrt()).log_prob(features[:, None, None]).sum(-1)
    expected = (each + words.weights.log()).logsumexp(-1)
    found = words.log_likelihood(features[None], torch.arange(5)[None])[0]
    assert torch.allclose(found + constant, expected, atol=1e-4)
    model = torch.tensor([0, 3, 4, 1])
    shares = (each + words.weights.log())[range(4), model].softmax(-1)
    assert torch.allclose(words.responsibilities(features, model), shares, atol=1e-5)


def test_a_clip_too_short_for_a_sentence_is_undefined():
    recogniser = TrainedRecogniser(models(), TINY)
    assert WIDTH % CEPSTRA == 0
    with pytest.raises(Undefined, match="too short"):
        recogniser.decode(torch.randn(1, 80))
    with pytest.raises(Undefined, match="too short"):
        recogniser.decode(torch.zeros(0, 80))
    assert TINY.parse(recogniser.decode(torch.randn(2, 80))) == ("a", "c")
    assert TINY.parse(recogniser.decode(torch.randn(40, 80)))


def test_words_are_told_with_the_frames_in_which_they_are_heard(monkeypatch):
    recogniser = TrainedRecogniser(models(), TINY)
    [a], [c] = (recogniser.models.models_of(word) for word in "ac")
    heard = torch.tensor([PAUSE, a, a, a, PAUSE, PAUSE, c, c])
    monkeypatch.setattr(
        WordModels, "log_likelihood", lambda _, features, model: -99.0 * (heard[:, None] != model[:, None])
    )
    assert recogniser.words(torch.zeros(8, 80)) == [("a", 1, 4), ("c", 6, 8)]
    assert recogniser.decode(torch.zeros(8, 80)) == "a c"
