"""AV2A on a base of SLTS (V2A-MelSpec): the base's weights, an audio encoder, and three procedures of training."""

from torch import Tensor

from slts.audio.mel import BANDS, log_mel
from slts.data.batch import Batch
from slts.systems.av2a.audio_encoder import AudioEncoder
from slts.systems.av2a.procedure import HearsItsBase, begin_with_base, check_procedure
from slts.systems.contract import MODALITIES
from slts.systems.slts import task as slts

BASE = "slts"


def check(config) -> None:
    """Refuses what task=slts refuses, no base, and shares of which none is above zero. Raises UserError."""
    slts.check(config)
    check_procedure(config, BASE)


def gives(config) -> tuple[str, ...]:
    return (*slts.gives(config), MODALITIES)


def build(config, corpus: dict) -> "Av2aTask":
    return Av2aTask(config.task, config.model, config.vocoder, corpus)


def begin(task: "Av2aTask", config, corpus: dict) -> None:
    """Gives the task the weights of its base. Raises UserError as ``begin_with_base``."""
    begin_with_base(task, config, corpus, BASE)


class Av2aTask(HearsItsBase, slts.SltsTask):
    """SLTS whose decoder also gets what an audio encoder makes of the synthesised sound.

    Frame encoder, decoder and the rest are those of SLTS, by ``task``, ``model`` and ``vocoder`` as there. The audio
    encoder's output is added where the decoder joins picture and speaker, which equals a concatenation that one linear
    layer follows.
    """

    def __init__(self, task, model, vocoder, corpus: dict):
        super().__init__(task, model, vocoder, corpus)
        self.audio_encoder = AudioEncoder(BANDS, tuple(task.audio_widths), model.width)
        self.begin_procedure(task, slts.SltsTask(task, model, vocoder, corpus))

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A step that hears the recorded sound corrects nothing: input and target share its clock."""
        modalities, sound, recorded = self.step_inputs(batch)
        target, lengths = self.target_mel(batch)
        features, mel = self.join(batch, sound, modalities, target.shape[1])
        return self.losses(batch, features, mel, target, lengths, on_sound_clock=recorded)

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
