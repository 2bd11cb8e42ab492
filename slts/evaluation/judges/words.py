"""Words in generated speech: what recognisers hear of what was said."""

from functools import partial

from rich.progress import track

from slts.evaluation.clips import GeneratedClip
from slts.evaluation.judges import Evaluation
from slts.metrics.columns import columns
from slts.recognition.error_rate import hear, summarise_words, table_columns
from slts.recognition.recogniser import load_recognisers
from slts.recognition.speech import read_texts

HOW = {"w_wer": "whisper=MODEL", "k_wer": "slts recogniser data=DIR or recogniser=pocketsphinx"}
"""What gives a recogniser for a rate."""


class Words:
    """The part of the judge of speech for the recognisers that ``slts evaluate`` was given."""

    def __init__(self, evaluation: Evaluation):
        config = evaluation.config
        self.recognisers = load_recognisers(config.whisper, config.recogniser, evaluation.data)
        self.texts = read_texts(evaluation.data, config.split) if self.recognisers else {}
        self.summary, self.clips = {}, 0

    def rate(self, clips: list[GeneratedClip], rows: list[dict]) -> dict[str, float | int | None]:
        """``w_wer_clips`` and the like are how many clips are in a rate."""
        pairs, said = [(c.reference, c.generated) for c in clips], [self.texts.get(c.key) for c in clips]
        bar = partial(track, total=len(clips))
        heard = {r.metric: hear(r, pairs, said, partial(bar, description=r.metric)) for r in self.recognisers}
        for row, found in zip(rows, table_columns(heard), strict=bool(heard)):
            row |= found
        self.summary, self.clips = summarise_words(heard), len(clips)
        rates = {name: self.summary.get(name, {}) for name in columns("words")}
        figures = {name: summary.get("rate") for name, summary in rates.items()}
        return figures | {f"{name}_clips": summary.get("clips") for name, summary in rates.items()}

    def remarks(self) -> list[str]:
        lines = [
            f"{name} null ({', '.join(self.summary[name]['reasons']) if name in self.summary else no_recogniser})"
            for name, how in HOW.items()
            if self.summary.get(name, {}).get("rate") is None
            for no_recogniser in [f"no recogniser; {how} gives one"]
        ]
        return lines + [
            f"{name}: {count} of {self.clips} clips are not in it: {reason}"
            for name, summary in self.summary.items()
            for reason, count in summary["reasons"].items()
        ]
