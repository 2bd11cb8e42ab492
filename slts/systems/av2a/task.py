"""AV2A on a base of SLTS (V2A-MelSpec): the base's weights, an audio encoder, and three procedures of training."""

import torch
from torch import Tensor

from slts.audio.mel import BANDS, log_mel
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems.av2a.audio_encoder import AudioEncoder
from slts.systems.av2a.statistics import SplitStatistics
from slts.systems.contract import MODALITIES
from slts.systems.slts import task as slts
from slts.systems.synthesis import SYNTH
from slts.systems.trained import load_frozen

COMBINATIONS = ("av", "a", "v")
"""Both inputs, audio alone, video alone: in the order of ``task.shares``."""
TRUE_AUDIO = "dropout_true_audio"
"""The procedure whose steps of audio alone hear what was recorded."""
SAME = ("mel", "fps", "speakers")
"""Of the corpora of base and AV2A, what must be equal."""


def check(config) -> None:
    """Refuses what task=slts refuses, no base, and shares of which none is above zero. Raises UserError."""
    slts.check(config)
    if config.task.base is None:
        raise UserError(
            "task.base=RUN is required with task=av2a: the run of task=slts whose weights it begins with, and that"
            " spoke data= by slts generate"
        )
    if config.task.procedure != "both" and not sum(config.task.shares):
        raise UserError("task.shares: one of both, audio alone and video alone must be above 0; task.shares=[1,1,1]")


def gives(config) -> tuple[str, ...]:
    return (*slts.gives(config), MODALITIES)


def build(config, corpus: dict) -> "Av2aTask":
    return Av2aTask(config.task, config.model, config.vocoder, corpus)


def begin(task: "Av2aTask", config, corpus: dict) -> None:
    """Gives the task the weights of its base.

    Raises:
        UserError: the corpus was not spoken, or not by the base as it is now; the base is of another task, other
            networks, or a corpus of another mel, frame rate or speakers.
    """
    name = config.task.base
    if "synthesised" not in corpus:
        raise UserError(
            f"data={config.data} has no synthesised sound (KEY.synth.flac); make it with slts generate run={name}"
            f" data={config.data} out=FOLDER, and give data=FOLDER"
        )
    base = load_frozen(name)
    if base.config.task.name != "slts":
        raise UserError(f"task.base={name} is of task={base.config.task.name}; give a run of task=slts")
    if differing := [what for what in SAME if base.corpus.get(what) != corpus.get(what)]:
        raise UserError(
            f"task.base={name} was trained on a corpus of another {differing[0]} than data={config.data}; give the base"
            " of this corpus, or speak the base's with slts generate"
        )
    made = corpus["synthesised"]
    if made.get("weights") != base.provenance()["weights"]:
        raise UserError(
            f"task.base={name} is not as it was when it spoke data={config.data} (by run {made.get('run')}, step"
            f" {made.get('step')}; the base is at step {base.step}): give that run, or speak the corpus again with slts"
            f" generate run={name}"
        )
    known, own = base.task.state_dict(), task.base.state_dict()
    if other := [key for key in sorted({*known, *own}) if key not in known or known[key].shape != _shape(own, key)]:
        raise UserError(
            f"task.base={name} has other networks ({other[0]} differs); give the same model=, vocoder= and variant= as"
            f" there: model={base.config.model.name} vocoder.name={base.config.vocoder.name}"
            f" variant={base.config.variant}"
        )
    task.base.load_state_dict(known)
    task.load_state_dict(task.state_dict() | known)
    task.statistics.inherit()


def _shape(state: dict[str, Tensor], key: str) -> torch.Size | None:
    return state[key].shape if key in state else None


class Av2aTask(slts.SltsTask):
    """SLTS whose decoder also gets what an audio encoder makes of the synthesised sound.

    Frame encoder, decoder and the rest are those of SLTS, by ``task``, ``model`` and ``vocoder`` as there. The audio
    encoder's output is added where the decoder joins picture and speaker, which equals a concatenation that one linear
    layer follows. An absent input is multiplied by 0 there, so that every network takes part in every step, as DDP
    wants it. ``base``, never trained, speaks where a batch comes without ``synth``.
    """

    takes = (SYNTH,)

    def __init__(self, task, model, vocoder, corpus: dict):
        super().__init__(task, model, vocoder, corpus)
        self.procedure, self.shares = task.procedure, list(task.shares)
        self.modalities = "av"  # but for training, which draws them
        self.audio_encoder = AudioEncoder(BANDS, tuple(task.audio_widths), model.width)
        self.statistics = SplitStatistics(self.decoder, ("av", "a") if task.split_statistics else ())
        self.base = slts.SltsTask(task, model, vocoder, corpus).requires_grad_(False).eval()

    @property
    def gives(self) -> tuple[str, ...]:
        return (*super().gives, MODALITIES)

    def train(self, mode: bool = True) -> "Av2aTask":
        super().train(mode)
        self.base.eval()
        return self

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A step that hears the recorded sound corrects nothing: input and target share its clock."""
        modalities = self.draw() if self.training else self.modalities
        recorded = modalities == "a" and self.procedure == TRUE_AUDIO
        target, lengths = self.target_mel(batch)
        sound = batch.audio if recorded else self.synthesised(batch)
        features, mel = self.join(batch, sound, modalities, target.shape[1])
        return self.losses(batch, features, mel, target, lengths, on_sound_clock=recorded)

    def draw(self) -> str:
        """The modalities of a step, from torch's generator, whose state checkpoints hold."""
        if self.procedure == "both":
            return "av"
        return COMBINATIONS[int(torch.multinomial(torch.tensor(self.shares, dtype=torch.float32), 1))]

    def synthesised(self, batch: Batch) -> Tensor:
        """(B, N) the speech of the base, from the batch where it has it."""
        return batch.sounds[SYNTH] if SYNTH in batch.sounds else self.base.generate(batch).clamp(-1, 1)

    def reconstruct(self, batch: Batch, length: int) -> tuple[Tensor, Tensor]:
        return self.join(batch, self.synthesised(batch), self.modalities, length)

    def join(self, batch: Batch, sound: Tensor, modalities: str, length: int) -> tuple[Tensor, Tensor]:
        """Frame features F (B, T_v, D_f) and the standardised M-hat (B, length, 80) by the ``modalities``.

        F is of the picture also where M-hat is not.
        """
        features = self.encode(batch)
        heard = (log_mel(sound) - self.mel_mean) / self.mel_std
        heard = self.audio_encoder(heard, features.shape[1], batch.fps) * float("a" in modalities)
        seen = features * float("v" in modalities)
        with self.statistics.used(modalities):
            where = batch.speaker, batch.frames, batch.fps, length, batch.valid
            return features, self.decoder(seen, *where, heard)
