"""What an evaluation of a run is called, in its files, in tables and on dashboards."""

from collections.abc import Mapping

PROTOCOLS = ("random", "dubbed", "tts")
"""Of what drawn lips say, besides the clips' own sound."""


def evaluation_name(
    split: str,
    sync: str | None = None,
    modalities: str | None = None,
    protocol: str | None = None,
    heard: str | None = None,
) -> str:
    """Its split, and what was not as usual: -dsm, -a, -v, -random, -heard."""
    alone = f"-{modalities}" if modalities in ("a", "v") else ""
    says = f"-{protocol}" if protocol in PROTOCOLS else ""
    others = "-heard" if heard == "data" else ""
    return f"{split}{'-dsm' if sync == 'dsm' else ''}{alone}{says}{others}"


def evaluation_of(row: Mapping) -> str:
    """``evaluation_name`` of a row of results.jsonl, of whatever version."""
    return evaluation_name(row["split"], *(row.get(name) for name in ("sync", "modalities", "protocol", "heard")))
