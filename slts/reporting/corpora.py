"""What tables call a corpus: the paper's name only where it is the paper's corpus."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from slts.data.facts import CORPUS_BYTES, corpus_facts
from slts.folders import read_plain

LIP2WAV = ("chem", "chess", "dl", "hs", "eh")
GRID_4S = {"s1", "s2", "s4", "s29"}
CLIPS = {"GRID-4S": 4000, "TCD-TIMIT-LS": 1131}
"""Clips of all splits together (Table 1). The paper counts Lip2Wav's five speakers together only: there no video of the
official lists may be missing."""
SHORTFALL = 0.05
"""Part of a corpus's clips that may be missing or rejected while it still bears the paper's name."""


@dataclass(frozen=True)
class Corpus:
    label: str
    family: str
    """grid, tcd_timit, lip2wav, synthetic, folder, or unknown."""
    facts: dict
    """corpus.json."""


def read_corpora(folders: list[Path]) -> dict[str, Corpus]:
    """Every readable corpus.json of ``folders`` by hash. Corpora of the same label get their hash added to it."""
    found = {}
    for folder in folders:
        try:
            facts = corpus_facts(read_plain(folder / "corpus.json", CORPUS_BYTES))
            found.setdefault(facts["hash"], Corpus(label(facts), family(facts), facts))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    same = defaultdict(list)
    for digest, corpus in found.items():
        same[corpus.label].append(digest)
    return {
        digest: corpus
        if len(same[corpus.label]) == 1
        else Corpus(f"{corpus.label} [{digest[:6]}]", corpus.family, corpus.facts)
        for digest, corpus in found.items()
    }


def family(facts: dict) -> str:
    """Which reader made the corpus."""
    return facts.get("config", {}).get("corpus") or facts["name"]


def label(facts: dict) -> str:
    """The paper's name if speakers, size and offsets are the paper's, else a description: reader, speakers, offsets."""
    settings, speakers = facts.get("config", {}), facts.get("speakers", [])
    clips = sum(split["clips"] for split in facts["splits"].values())
    injected = settings.get("inject") or "none"
    altered = injected != "none" or "repaired" in facts
    made_by = family(facts)
    official = {
        "grid": "GRID-4S" if set(speakers) == GRID_4S else None,
        "tcd_timit": "TCD-TIMIT-LS" if len(speakers) == 3 else None,
        "lip2wav": f"Lip2Wav-{speakers[0]}" if len(speakers) == 1 and speakers[0] in LIP2WAV else None,
    }.get(made_by)
    missing = facts.get("rejected", {}).get("missing", 0)
    whole = clips >= (1 - SHORTFALL) * CLIPS[official] if official in CLIPS else not missing
    if official and whole and not altered:
        return official
    names = {"grid": "GRID", "tcd_timit": "TCD-TIMIT", "lip2wav": "Lip2Wav", "folder": "own videos"}
    if made_by == "synthetic":
        text = f"generated, {settings.get('profile', 'unknown')} offsets"
    else:
        who = " ".join(speakers) if len(speakers) <= 5 else f"{len(speakers)} speakers"
        text = f"{names.get(made_by, made_by)} {who}" + (f" ({clips} clips)" if official else "")
    if injected != "none":
        text += f", {injected} offsets injected"
    return text + (", offsets repaired" if "repaired" in facts else "")
