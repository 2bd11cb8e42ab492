"""Training of the word models by Viterbi re-estimation, as HMM-GMM recognisers are: alignment, LDA, mixtures.

No alignment, dictionary or chance is needed beyond the texts: every word starts as an even share of the speech.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import scipy.linalg
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from slts.recognition.examples import Example
from slts.recognition.features import WIDTH, slopes, splice
from slts.recognition.viterbi import stack, viterbi
from slts.recognition.word_models import PAUSE, WordModels

SMOOTHING = 20.0
"""Frames of the mean variance of all models that are added to those of each model."""
DIMENSIONS = 40
"""Of the LDA features."""
FRAMES_A_STATE = 2.5
PASSES = ("even", *["align"] * 3, "durations", *["align"] * 2, *["lda", *["align"] * 2] * 2, "split", *["align"] * 3)
"""Of alignment and estimation over all clips, named after what is done before it."""
BATCH = 64


def train_word_models(
    examples: Sequence[Example], words: tuple[str, ...], progress: Callable[[Iterable[str]], Iterable[str]] = iter
) -> WordModels:
    """Word models for ``words``, each of which some example says. Leaves the words' final places in the examples.

    ``progress`` wraps the iterator over the names of the passes, for a progress bar.
    """
    models = _untrained(words, [5] * len(words))
    labels = [_even_labels(models, example) for example in examples]
    models = _estimate(models, examples, labels, mixtures=False)
    for stage in progress(PASSES):
        if stage == "durations":
            models = _untrained(words, _durations(examples, words))
            labels = [_even_labels(models, example) for example in examples]
            models = _estimate(models, examples, labels, mixtures=False)
        elif stage == "lda":
            models = replace(models, projection=_lda(examples, labels, len(models.stay)))
            models = _estimate(models, examples, labels, mixtures=False)
        elif stage == "split":
            models = _split(models)
        labels = _align(models, examples)
        models = _estimate(models, examples, labels, mixtures=True)
    return models


def _untrained(words: tuple[str, ...], states: list[int]) -> WordModels:
    return WordModels(words, torch.tensor(states), slopes(), *[torch.empty(1 + sum(states), 1)] * 4)


def _even_labels(models: WordModels, example: Example) -> Tensor:
    """Models (T,) of the frames of a clip when the states of a word have equal shares of its place."""
    labels = torch.full((len(example.cepstra),), PAUSE)
    for word, (start, end) in zip(example.words, example.spans, strict=True):
        states = torch.tensor(models.models_of(word))
        labels[start:end] = states[torch.arange(end - start) * len(states) // max(1, end - start)]
    return labels


def _durations(examples: Sequence[Example], words: tuple[str, ...]) -> list[int]:
    """States of each word after its median length."""
    lengths: dict[str, list[int]] = {word: [] for word in words}
    for example in examples:
        for word, (start, end) in zip(example.words, example.spans, strict=True):
            lengths[word].append(end - start)
    return [max(3, min(20, round(statistics.median(lengths[word]) / FRAMES_A_STATE))) for word in words]


def _align(models: WordModels, examples: Sequence[Example]) -> list[Tensor]:
    """Models (T,) of the frames of every clip on the best path through its sentence; the examples' spans follow.

    A clip too short for its sentence keeps even shares.
    """
    labels = []
    for first in range(0, len(examples), BATCH):
        batch = examples[first : first + BATCH]
        chains = [models.lattice([[word] for word in example.words]) for example in batch]
        lattice = stack([chain for chain, _ in chains])
        lengths = torch.tensor([len(example.cepstra) for example in batch])
        padded = pad_sequence([splice(example.cepstra) @ models.projection for example in batch], batch_first=True)
        paths, totals = viterbi(lattice, models.log_likelihood(padded, lattice.model), lengths)
        for row, (example, (_, spoken)) in enumerate(zip(batch, chains, strict=True)):
            if totals[row] == -torch.inf:
                labels.append(_even_labels(models, example))
                continue
            path = paths[row, : lengths[row]]
            slots = torch.tensor([-1 if said is None else said[0] for said in spoken])[path]
            places = [torch.nonzero(slots == slot) for slot in range(len(example.words))]
            example.spans = [(int(place[0]), int(place[-1]) + 1) for place in places]
            labels.append(lattice.model[row, path])
    return labels


def _estimate(models: WordModels, examples: Sequence[Example], labels: list[Tensor], mixtures: bool) -> WordModels:
    """The models re-estimated from labelled frames; without ``mixtures`` as one Gaussian each, from nothing."""
    count, dimensions = len(models.stay), models.projection.shape[1]
    gaussians = models.means.shape[1] if mixtures else 1
    mass = torch.zeros(count * gaussians)
    first, second = torch.zeros(2, count * gaussians, dimensions)
    stayed = torch.zeros(count)
    for example, label in zip(examples, labels, strict=True):
        features = splice(example.cepstra) @ models.projection
        share = models.responsibilities(features, label) if gaussians > 1 else torch.ones(len(label), 1)
        cell = (label[:, None] * gaussians + torch.arange(gaussians)).flatten()
        weighted = share[..., None] * features[:, None]
        mass.index_add_(0, cell, share.flatten())
        first.index_add_(0, cell, weighted.flatten(0, 1))
        second.index_add_(0, cell, (weighted * features[:, None]).flatten(0, 1))
        stayed.index_add_(0, label[:-1], (label[1:] == label[:-1]).float())
    means = first / mass[:, None].clamp_min(1)
    scatter = (second - mass[:, None] * means.square()).clamp_min(0)
    pooled = scatter.sum(0) / mass.sum()
    variances = (scatter + SMOOTHING * pooled) / (mass[:, None] + SMOOTHING)
    mass = mass.view(count, gaussians)
    return replace(
        models,
        means=means.view(count, gaussians, dimensions),
        variances=variances.view(count, gaussians, dimensions),
        weights=mass / mass.sum(1, keepdim=True).clamp_min(1),
        stay=(stayed / mass.sum(1).clamp_min(1)).clamp(0.05, 0.98),
    )


def _lda(examples: Sequence[Example], labels: list[Tensor], count: int) -> Tensor:
    """Projection (WIDTH, DIMENSIONS) that separates the models best; their common covariance becomes the identity."""
    mass, sums, total = torch.zeros(count), torch.zeros(count, WIDTH), torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    for example, label in zip(examples, labels, strict=True):
        spliced = splice(example.cepstra)
        mass.index_add_(0, label, torch.ones(len(label)))
        sums.index_add_(0, label, spliced)
        total += spliced.T @ spliced
    mass, sums, frames = mass.double(), sums.double(), float(mass.sum())
    centre = sums.sum(0) / frames
    between = (sums / mass.clamp_min(1)[:, None]).T @ sums / frames
    within = total / frames - between + 1e-6 * torch.eye(WIDTH)
    between = between - torch.outer(centre, centre)
    _, vectors = scipy.linalg.eigh(between.numpy(), within.numpy())
    return torch.from_numpy(vectors[:, ::-1][:, :DIMENSIONS].copy()).float()


def _split(models: WordModels) -> WordModels:
    """Every Gaussian as two, a fifth of a standard deviation to either side."""
    offset = 0.2 * models.variances.sqrt()
    return replace(
        models,
        means=torch.cat([models.means - offset, models.means + offset], 1),
        variances=models.variances.repeat(1, 2, 1),
        weights=models.weights.repeat(1, 2) / 2,
    )
