"""What drawn lips are to say in an evaluation: the clips' own sound, or that of a protocol of ReSyncED.

Prajwal et al. (arXiv 2008.10010), section 4: Wav2Lip is not judged on the sound that a video was recorded with, but on
random pairs, on dubbed films and on synthetic speech. ReSyncED's films were never released; here the protocols take any
corpus, with lists that the seed fixes. ``dubbed`` is a stand-in: the sentence with most words in common, by somebody
else where there is anybody, stretched to the length of the picture.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from slts.audio import SAMPLE_RATE
from slts.corpora.synthetic import speech
from slts.data.batch import Batch
from slts.data.clip import Reject
from slts.data.dataset import ShardDataset
from slts.data.media.sound import pulled
from slts.errors import UserError
from slts.recognition.speech import read_facts
from slts.spreadsheet import write_csv

OWN, RANDOM, DUBBED, TTS = "own", "random", "dubbed", "tts"
VOICE = ("gmw/en-GB-x-rp+m3", 160, 50)
"""Of ``tts``: voice, words a minute and pitch of eSpeak NG."""


class Said:
    """The sounds that the clips of a split are to say.

    Args:
        protocol: OWN, RANDOM, DUBBED or TTS.
        data, split: which texts belong to the clips.
        dataset: of the clips.
        seed: of the list of pairs.

    Raises:
        UserError: fewer than two clips, clips without a text where texts are needed, or no eSpeak NG.
    """

    def __init__(self, protocol: str, data: Path, split: str, dataset: ShardDataset, seed: int):
        self.protocol, self.dataset, self.list = protocol, dataset, {}
        if protocol == OWN:
            return
        self.places = {key: place for place, key in enumerate(dataset.keys)}
        keys, facts, where = sorted(self.places), read_facts(data, split), f"protocol={protocol}"
        texts = {key: facts[key]["text"] for key in keys} if protocol in (DUBBED, TTS) else {}
        if lacking := [key for key, text in texts.items() if not (text and text.strip())]:
            raise UserError(f"{where} needs the text of every clip, and {lacking[0]} has none; take protocol=random")
        if protocol == TTS:
            speech.check_installed()
            self.list = texts
            return
        if len(keys) < 2:
            raise UserError(f"{where} needs two clips; the {split} split has {len(keys)}")
        self.list = pair_list(keys, {key: facts[key]["speaker"] for key in keys}, texts, seed)

    @property
    def own(self) -> bool:
        return self.protocol == OWN

    def of(self, batch: Batch) -> Tensor:
        """(B, N) what the clips of a batch say, as padded as their own sound; silent beyond it."""
        if self.own:
            return batch.audio
        said = torch.zeros_like(batch.audio)
        for i, (key, frames, fps) in enumerate(zip(batch.key, batch.frames.tolist(), batch.fps.tolist(), strict=True)):
            count = min(round(frames / fps * SAMPLE_RATE), said.shape[1])
            sound = torch.from_numpy(self._sound(key, count))
            said[i, : len(sound)] = sound
        return said

    def write(self, file: Path) -> None:
        """The list as a CSV with the columns key and says: the key of another clip, or a text."""
        write_csv(file, ("key", "says"), [{"key": key, "says": says} for key, says in self.list.items()])

    def _sound(self, key: str, count: int) -> np.ndarray:
        """At most ``count`` samples."""
        if self.protocol == TTS:
            try:
                sound = speech.spoken(self.list[key], *VOICE)
            except Reject as reject:
                raise UserError(f"protocol=tts: {key}: {reject}") from None
            sound = stretched(sound, count) if len(sound) > count else sound
            return np.pad(sound, ((count - len(sound)) // 2, 0))
        sound = self.dataset.sound(self.places[self.list[key]])
        return (stretched(sound, count) if self.protocol == DUBBED else sound)[:count]


def pair_list(
    keys: Sequence[str], speakers: Mapping[str, object], texts: Mapping[str, str], seed: int
) -> dict[str, str]:
    """Which other clip each clip says, by somebody else where there is anybody: a random one, or one of those with the
    most words in common where there are ``texts``. The same for a seed, in whatever order the keys come."""
    rng, keys = np.random.default_rng(seed), sorted(keys)
    _, people = np.unique([speakers[key] for key in keys], return_inverse=True)
    words = word_counts([texts[key] for key in keys]) if texts else None
    clips_of = words.T.tocsr() if words is not None else None
    chosen = {}
    for place, key in enumerate(keys):
        others = np.flatnonzero(people != people[place])
        if not len(others):
            others = np.delete(np.arange(len(keys)), place)
        if words is not None:
            common = (words[place] @ clips_of).toarray()[0, others]
            others = others[common == common.max()]
        chosen[key] = keys[others[rng.integers(len(others))]]
    return chosen


def word_counts(texts: Sequence[str]) -> csr_matrix:
    """(texts, columns) of ones, a column for each word and time that it comes: the product of two rows is how many
    words both have."""
    columns, rows, places = {}, [], []
    for row, text in enumerate(texts):
        for word, count in Counter(text.split()).items():
            for time in range(count):
                rows.append(row)
                places.append(columns.setdefault((word, time), len(columns)))
    return csr_matrix((np.ones(len(rows), np.int32), (rows, places)), shape=(len(texts), len(columns)))


def stretched(audio: np.ndarray, count: int) -> np.ndarray:
    """Sound (N,) float32 at 16 kHz, slower or faster at the same pitch, (``count``,): FFmpeg's atempo, from half to a
    hundredfold speed."""
    if len(audio) == count:
        return audio
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_abuffer(format="flt", sample_rate=SAMPLE_RATE, layout="mono", time_base=f"1/{SAMPLE_RATE}"),
        graph.add("atempo", f"{np.clip(len(audio) / count, 0.5, 100):.6f}"),
        graph.add("abuffersink"),
    ).configure()
    frame = av.AudioFrame.from_ndarray(audio[None].astype(np.float32), format="flt", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    graph.push(frame)
    graph.push(None)
    found = np.concatenate([np.zeros(0, np.float32), *pulled(graph)])[:count]
    return np.pad(found, (0, count - len(found)))
