"""The trained recogniser of k-WER: word models and their grammar, stored as safetensors and JSON."""

import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from slts.audio.mel import log_mel
from slts.errors import UserError
from slts.files import write_whole
from slts.metrics import Undefined
from slts.recognition.features import cepstra_of, splice
from slts.recognition.grammar import Grammar
from slts.recognition.viterbi import viterbi
from slts.recognition.word_models import WordModels

WEIGHTS, FACTS = "models.safetensors", "recogniser.json"
TENSORS = ("states", "projection", "means", "variances", "weights", "stay")


@dataclass
class TrainedRecogniser:
    models: WordModels
    grammar: Grammar
    """Words of it that have no model are never heard."""

    def __post_init__(self):
        known = [[word for word in slot if word in self.models.words] for slot in self.grammar.slots]
        self.lattice, self.spoken = self.models.lattice(known)

    def transcribe(self, audio: np.ndarray) -> str:
        """The sentence of the grammar on the best path through mono audio (N,) at 16 kHz, wherever in it speech begins.

        The search is exact. Raises Undefined if the audio is too short for any sentence.
        """
        frames = torch.from_numpy(np.ascontiguousarray(audio, np.float32))[None]
        return self.decode(log_mel(frames)[0])

    def decode(self, mel: torch.Tensor) -> str:
        """The same for a log-mel (T, 80)."""
        return " ".join(word for word, _, _ in self.words(mel))

    @torch.no_grad()
    def words(self, mel: torch.Tensor) -> list[tuple[str, int, int]]:
        """Its words, and of each the frames of the log-mel in which it begins and before which it ends."""
        if not len(mel):
            raise Undefined("audio is too short for a sentence of the grammar")
        features = splice(cepstra_of(mel)) @ self.models.projection
        emitted = self.models.log_likelihood(features[None], self.lattice.model)
        path, total = viterbi(self.lattice, emitted, torch.tensor([len(mel)]))
        if total[0] == -torch.inf:
            raise Undefined("audio is too short for a sentence of the grammar")
        found, first = [], 0
        for said, frames in groupby(self.spoken[state] for state in path[0].tolist()):
            last = first + len(list(frames))
            if said:
                found.append((said[1], first, last))
            first = last
        return found

    def save(self, folder: Path, facts: dict) -> None:
        """Write the recogniser and what is known of it; the JSON, written last, vouches for the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / WEIGHTS, save({name: getattr(self.models, name).contiguous() for name in TENSORS}))
        described = {"words": self.models.words, "slots": self.grammar.slots, **facts}
        write_whole(folder / FACTS, json.dumps(described, indent=1, ensure_ascii=False).encode())


def load_trained(folder: Path) -> TrainedRecogniser:
    """The recogniser in a folder. Raises UserError when there is none or it is damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text())
        tensors = load_file(folder / WEIGHTS)
        models = WordModels(tuple(facts["words"]), **{name: tensors[name] for name in TENSORS})
        grammar = Grammar(tuple(tuple(slot) for slot in facts["slots"]))
        if len(models.words) != len(models.states) or len(models.stay) != 1 + int(models.states.sum()):
            raise ValueError("words and models do not fit")
        return TrainedRecogniser(models, grammar)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"recogniser={folder}: no recogniser there; make one with slts recogniser data=DIR, or use pocketsphinx"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise UserError(f"recogniser={folder}: damaged ({error!r}); make it again with slts recogniser") from None
