"""Who speaks which clip of a corpus: one run all of them, or training clips the runs that did not learn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from slts.data.folds import Fold, fold_of
from slts.errors import UserError
from slts.systems.trained import TrainedRun

LEARNED_BEFORE = ("warm_start", "task.base")
"""Keys of another run whose weights a run began with."""


@dataclass(frozen=True)
class Speakers:
    """Runs that speak a corpus."""

    first: TrainedRun
    """Speaks val and test, and with ``by_fold`` empty everything."""
    by_fold: tuple[TrainedRun, ...] = ()
    """Run k left fold k of the training clips out, and speaks it."""

    @property
    def runs(self) -> list[TrainedRun]:
        """Each once, the first first."""
        others = [run for run in self.by_fold if run is not self.first]
        return [self.first, *others]

    def of(self, split: str, key: str) -> TrainedRun:
        """The run that speaks a clip."""
        return self.by_fold[fold_of(key, len(self.by_fold))] if self.by_fold and split == "train" else self.first

    def provenance(self) -> dict:
        """That of the first run, and with folds their number and that of each run."""
        told = [run.provenance() for run in self.runs]
        if not self.by_fold:
            return told[0]
        folds = [str(fold) if (fold := _left_out(run)) else None for run in self.runs]
        everyone = [{**one, "leave_out": fold} for one, fold in zip(told, folds, strict=True)]
        return {**told[0], "folds": len(self.by_fold), "runs": everyone}


def speakers(runs: Sequence[TrainedRun], folds: int, corpus: dict, data: Path) -> Speakers:
    """The given runs in their places.

    Args:
        runs: one; or with folds one for each, in any order, before which may stand one that left nothing out.
        folds: of the training clips, 1 for none.
        corpus: corpus.json of ``data``.

    Raises:
        UserError: not these runs; or with folds one that learned from another corpus, or one of a fold that began with
            the weights of another run, so that what it saw of these clips cannot be told.
    """
    if folds == 1:
        if len(runs) > 1:
            raise UserError(f"run= names {len(runs)} runs, and folds=1 takes one; add folds=N for one run a fold")
        return Speakers(runs[0])
    by_number = {_left_out(run): run for run in runs}
    wanted = [Fold(number, folds) for number in range(folds)]
    for fold in wanted:
        if fold not in by_number:
            raise UserError(
                f"folds={folds}: none of the runs left fold {fold} out, so each learned from its clips; make one with"
                f" slts train data={data} leave_out={fold} name=NAME, and give it in run=[...]"
            )
    if len(runs) != folds + (_left_out(runs[0]) is None):
        raise UserError(
            f"folds={folds} takes {folds} runs, one a fold ({', '.join(map(str, wanted))}), and before them perhaps one"
            f" that left nothing out; run= names {len(runs)}"
        )
    by_fold = tuple(by_number[fold] for fold in wanted)
    for run in runs:
        _refuse_other_corpus(run, corpus, data)
    for run in by_fold:
        _refuse_unknown_past(run)
    return Speakers(runs[0], by_fold)


def _refuse_other_corpus(run: TrainedRun, corpus: dict, data: Path) -> None:
    if run.corpus.get("hash") != corpus["hash"]:
        raise UserError(
            f"run={run.directory.path} was trained on another corpus than data={data}, and may have learned from its"
            f" clips; with folds= give runs of slts train data={data}"
        )


def _refuse_unknown_past(run: TrainedRun) -> None:
    for key in LEARNED_BEFORE:
        if before := OmegaConf.select(run.config, key):
            raise UserError(
                f"run={run.directory.path} began with the weights of {before} ({key}=), which may have learned from"
                " the clips that it left out; with folds= give runs that began afresh"
            )


def _left_out(run: TrainedRun) -> Fold | None:
    text = OmegaConf.select(run.config, "leave_out")
    return Fold.of(str(text)) if text else None
