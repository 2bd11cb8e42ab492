"""What puts the scores of two folders of sound in doubt: counted, named, and said in a line each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from slts.evaluation.sounds import SoundFolder, sample_rate
from slts.metrics.scoring import AT_EDGE, DURATIONS

LOW_RATE = 16000
"""Hz; a file below holds nothing of the upper part of the band that is scored."""
LONGER = 0.1
"""Share of the reference's duration by which the generated sound may differ without a word."""
SHOWN = 5
"""Names in a line."""


def count_doubts(folders: dict[str, SoundFolder], stems: Sequence[str], facts: Sequence[dict]) -> dict:
    """The doubts about pairs, JSON-able.

    Args:
        folders: ``reference`` and ``generated``.
        stems: of the pairs.
        facts: of each pair the FACTS of score_pair.

    Returns:
        ``not_read``: by folder, files that are not read and why; ``durations_differ`` and ``frontend_at_edge``: how
        many pairs, and as ``..._stems`` which; ``below_16_khz``: by folder how many files of which rate in Hz.
    """
    differ = [stem for stem, fact in zip(stems, facts, strict=True) if durations_differ(*(fact[n] for n in DURATIONS))]
    at_edge = [stem for stem, fact in zip(stems, facts, strict=True) if fact[AT_EDGE]]
    return {
        "not_read": {key: folder.others for key, folder in folders.items()},
        "durations_differ": len(differ),
        "durations_differ_stems": differ,
        AT_EDGE: len(at_edge),
        f"{AT_EDGE}_stems": at_edge,
        "below_16_khz": {key: _low_rates(folder, stems) for key, folder in folders.items()},
    }


def durations_differ(reference: float | None, generated: float | None) -> bool:
    """Whether the generated sound is longer or shorter than its reference by more than 10 %; in seconds."""
    return None not in (reference, generated) and abs(generated - reference) > LONGER * reference


def notes_on(doubts: dict, folders: dict[str, str]) -> Iterator[str]:
    """A line on each of the doubts of ``count_doubts``; ``folders`` are the names of both as they were typed."""
    for key, others in doubts["not_read"].items():
        if others:
            named = _some([f"{name}: {why}" for name, why in others.items()])
            yield f"{key}={folders[key]}: not read are {len(others)} files: {named}"
    if count := doubts["durations_differ"]:
        yield (
            f"durations differ by more than {LONGER:.0%} in {count} pairs ({_some(doubts['durations_differ_stems'])}):"
            " plain and a_ figures are of what both have, _whole of the reference's whole length, where silence is"
            " taken for what is missing"
        )
    if count := doubts[AT_EDGE]:
        yield (
            f"the offset found is +-300 ms, where the search ends, in {count} pairs"
            f" ({_some(doubts[f'{AT_EDGE}_stems'])}): the true one may lie beyond; they are in the means"
        )
    if low := {key: rates for key, rates in doubts["below_16_khz"].items() if rates}:
        files = ", ".join(f"{sum(rates.values())} {key} ({', '.join(rates)} Hz)" for key, rates in low.items())
        yield f"files below 16 kHz, which hold nothing above half their rate: {files}"


def _low_rates(folder: SoundFolder, stems: Iterable[str]) -> dict[str, int]:
    rates = Counter(sample_rate(folder.sounds[stem]) for stem in stems if stem in folder.sounds)
    return {str(rate): rates[rate] for rate in sorted(filter(None, rates)) if rate < LOW_RATE}


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
