"""AV2A on a base of V2A-WaveGAN: the base's weights, an encoder of the waveform, and three procedures of training."""

from torch import Tensor

from slts.data.batch import Batch
from slts.systems.av2a.audio_encoder import WaveEncoder
from slts.systems.av2a.procedure import HearsItsBase, begin_with_base, check_procedure
from slts.systems.contract import MODALITIES
from slts.systems.v2a_wavegan import task as v2a_wavegan

BASE = "v2a_wavegan"


def check(config) -> None:
    """Refuses what task=v2a_wavegan refuses, no base, and shares of which none is above zero. Raises UserError."""
    v2a_wavegan.check(config)
    check_procedure(config, BASE)


def gives(config) -> tuple[str, ...]:
    return (*v2a_wavegan.gives(config), MODALITIES)


def build(config, corpus: dict) -> "Av2aWaveGanTask":
    return Av2aWaveGanTask(config.task, config.model, corpus)


def begin(task: "Av2aWaveGanTask", config, corpus: dict) -> None:
    """Gives the task the weights of its base, its critics' too. Raises UserError as ``begin_with_base``."""
    begin_with_base(task, config, corpus, BASE)


class Av2aWaveGanTask(HearsItsBase, v2a_wavegan.V2aWaveGanTask):
    """V2A-WaveGAN whose GRU also gets what an encoder makes of the synthesised waveform.

    ``base`` has critics of its own that nothing calls: checkpoints hold all of the base, as it was trained.
    """

    def __init__(self, task, model, corpus: dict):
        super().__init__(task, model, corpus)
        self.audio_encoder = WaveEncoder(tuple(task.audio_widths), model.width)
        self.begin_procedure(task, v2a_wavegan.V2aWaveGanTask(task, model, corpus))

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        modalities, sound, _ = self.step_inputs(batch)
        return self.losses(batch, self.join(batch, sound, modalities))

    def speak(self, batch: Batch) -> Tensor:
        return self.join(batch, self.synthesised(batch), self.modalities)

    def join(self, batch: Batch, sound: Tensor, modalities: str) -> Tensor:
        """(B, 640 T_v) by the ``modalities``."""
        features = self.encode(batch)
        heard = self.audio_encoder(sound, features.shape[1]) * float("a" in modalities)
        seen = features * float("v" in modalities)
        with self.statistics.used(modalities):
            return self.decoder(seen, batch.speaker, batch.frames, batch.valid, heard)
