"""Whole-word hidden Markov models: left-to-right states with Gaussian mixtures, and an optional pause between words."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slts.recognition.viterbi import Lattice

PAUSE = 0
"""The model that all pauses share, the first."""

Slots = Sequence[Sequence[str]]


@dataclass
class WordModels:
    """K models: PAUSE, then the states of each word in turn. M Gaussians each, over D features."""

    words: tuple[str, ...]
    states: Tensor
    """(words,) states of each word."""
    projection: Tensor
    """(WIDTH, D) from spliced cepstra to features."""
    means: Tensor
    """(K, M, D)."""
    variances: Tensor
    """(K, M, D)."""
    weights: Tensor
    """(K, M), each row sums to 1."""
    stay: Tensor
    """(K,) probability of remaining in a state for the next frame."""

    def models_of(self, word: str) -> list[int]:
        index = self.words.index(word)
        first = 1 + int(self.states[:index].sum())
        return list(range(first, first + int(self.states[index])))

    def log_likelihood(self, features: Tensor, model: Tensor) -> Tensor:
        """Features (B, T, D) in models (B, S) to (B, T, S): log-densities, less a constant that all models share."""
        means, precision = self.means[model].flatten(1, 2), 1 / self.variances[model].flatten(1, 2)
        log_weights = self.weights.clamp_min(1e-10).log()[model].flatten(1)
        offset = (means.square() * precision - precision.log()).sum(2) - 2 * log_weights
        terms = torch.cat([precision, -2 * means * precision, offset[..., None]], 2)
        seen = torch.cat([features.square(), features, torch.ones_like(features[..., :1])], 2)
        each = -0.5 * (seen @ terms.transpose(1, 2)).unflatten(2, (model.shape[1], -1))
        return each.logsumexp(3) if each.shape[3] > 1 else each.squeeze(3)

    def responsibilities(self, features: Tensor, model: Tensor) -> Tensor:
        """Features (N, D) of frames that models (N,) emitted: (N, M), the share of each Gaussian."""
        variances = self.variances[model]
        distance = (features[:, None] - self.means[model]).square() / variances
        each = self.weights[model].clamp_min(1e-10).log() - 0.5 * (distance + variances.log()).sum(2)
        return each.softmax(1)

    def lattice(self, slots: Slots) -> tuple[Lattice, list[tuple[int, str] | None]]:
        """All sentences of a word from each slot in turn, pauses optional, as a lattice of one clip.

        Returns also the (slot, word) of each state, None for pauses.
        """
        model, before, spoken, ends, first_words = [PAUSE], [[0]], [None], [], []
        pause = 0
        for number, slot in enumerate(slots):
            arrivals, ends = [*ends, pause], []
            for word in slot:
                for place, k in enumerate(self.models_of(word)):
                    state = len(model)
                    model.append(k)
                    spoken.append((number, word))
                    before.append([state, *(arrivals if place == 0 else [state - 1])])
                    if place == 0 and pause == 0:
                        first_words.append(state)
                ends.append(state)
            pause = len(model)
            model.append(PAUSE)
            spoken.append(None)
            before.append([pause, *ends])
        return self._tensors(model, before, [0, *first_words], [*ends, pause]), spoken

    def _tensors(self, model: list[int], before: list[list[int]], starts: list[int], ends: list[int]) -> Lattice:
        count, widest = len(model), max(map(len, before))
        models = torch.tensor(model)
        sources = torch.tensor([row + [row[0]] * (widest - len(row)) for row in before])
        cost = torch.log1p(-self.stay)[models][sources]
        cost[:, 0] = self.stay.log()[models]
        absent = torch.arange(widest) >= torch.tensor([len(row) for row in before])[:, None]
        start, end = torch.full((2, count), -torch.inf)
        start[starts], end[ends] = 0.0, 0.0
        return Lattice(models[None], sources[None], cost.masked_fill(absent, -torch.inf)[None], start[None], end[None])
