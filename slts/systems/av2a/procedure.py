"""What the forms of AV2A share, whatever their base is: the base as a part, the procedures, and what is heard."""

import torch
from torch import Tensor, nn

from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems.av2a.statistics import SplitStatistics
from slts.systems.contract import MODALITIES
from slts.systems.synthesis import SYNTH
from slts.systems.trained import load_frozen

COMBINATIONS = ("av", "a", "v")
"""Both inputs, audio alone, video alone: in the order of ``task.shares``."""
TRUE_AUDIO = "dropout_true_audio"
"""The procedure whose steps of audio alone hear what was recorded."""
SAME = ("mel", "fps", "speakers")
"""Of the corpora of base and AV2A, what must be equal."""


def check_procedure(config, of: str) -> None:
    """Refuses no base, and shares of which none is above zero; ``of`` is the task of the base. Raises UserError."""
    if config.task.base is None:
        raise UserError(
            f"task.base=RUN is required with task={config.task.name}: the run of task={of} whose weights it begins"
            " with, and that spoke data= by slts generate"
        )
    if config.task.procedure != "both" and not sum(config.task.shares):
        raise UserError("task.shares: one of both, audio alone and video alone must be above 0; task.shares=[1,1,1]")


class HearsItsBase:
    """Of a system that has the networks of its base, a ``decoder`` among them, and an audio encoder.

    ``base``, never trained, speaks where a batch comes without ``synth``. An absent input is multiplied by 0 where it
    joins, so that every network takes part in every step, as DDP wants it.
    """

    takes = (SYNTH,)

    def begin_procedure(self, task, base: nn.Module) -> None:
        """Called at the end of ``__init__`` with the config group ``task`` and a fresh base."""
        self.procedure, self.shares = task.procedure, list(task.shares)
        self.modalities = "av"  # but for training, which draws them
        self.statistics = SplitStatistics(self.decoder, ("av", "a") if task.split_statistics else ())
        self.base = base.requires_grad_(False).eval()

    @property
    def gives(self) -> tuple[str, ...]:
        return (*super().gives, MODALITIES)

    def train(self, mode: bool = True) -> "HearsItsBase":
        super().train(mode)
        self.base.eval()
        return self

    def draw(self) -> str:
        """The modalities of a step, from torch's generator, whose state checkpoints hold."""
        if self.procedure == "both":
            return "av"
        return COMBINATIONS[int(torch.multinomial(torch.tensor(self.shares, dtype=torch.float32), 1))]

    def step_inputs(self, batch: Batch) -> tuple[str, Tensor, bool]:
        """Of a step: the modalities, the sound (B, N) to be heard, and whether that is the recorded one."""
        modalities = self.draw() if self.training else self.modalities
        recorded = modalities == "a" and self.procedure == TRUE_AUDIO
        return modalities, batch.audio if recorded else self.synthesised(batch), recorded

    def synthesised(self, batch: Batch) -> Tensor:
        """(B, N) the speech of the base, from the batch where it has it."""
        return batch.sounds[SYNTH] if SYNTH in batch.sounds else self.base.generate(batch).clamp(-1, 1)


def begin_with_base(task: HearsItsBase, config, corpus: dict, of: str) -> None:
    """Gives the task the weights of its base.

    Raises:
        UserError: the corpus was not spoken, or not by the base as it is now; the base is of another task than ``of``,
            of other networks, or of a corpus of another mel, frame rate or speakers.
    """
    name = config.task.base
    if "synthesised" not in corpus:
        raise UserError(
            f"data={config.data} has no synthesised sound (KEY.synth.flac); make it with slts generate run={name}"
            f" data={config.data} out=FOLDER, and give data=FOLDER"
        )
    base = load_frozen(name)
    if base.config.task.name != of:
        raise UserError(f"task.base={name} is of task={base.config.task.name}; give a run of task={of}")
    if differing := [what for what in SAME if base.corpus.get(what) != corpus.get(what)]:
        raise UserError(
            f"task.base={name} was trained on a corpus of another {differing[0]} than data={config.data}; give the base"
            " of this corpus, or speak the base's with slts generate"
            f" run={name} data={base.config.data} out=FOLDER and give data=FOLDER"
        )
    made = corpus["synthesised"]
    if made.get("weights") != base.provenance()["weights"]:
        raise UserError(
            f"task.base={name} is not as it was when it spoke data={config.data} (by run {made.get('run')}, step"
            f" {made.get('step')}; the base is at step {base.step}): give that run, or speak the corpus again with slts"
            f" generate run={name} data={base.config.data} out=FOLDER and give data=FOLDER"
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
