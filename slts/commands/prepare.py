"""Raw corpus to shards: decode, find the face, crop, write WebDataset tars with corpus.json and rejected.jsonl.

`slts prepare corpus=synthetic profile=lagged out=DIR` needs no download; `slts prepare corpus=grid root=DIR out=DIR`
reads GRID; `slts prepare corpus=folder root=DIR out=DIR` reads any folder of talking-face videos. Run it again to
continue after an interruption. With `dry_run=true` some files are read and nothing is written: it says what the whole
root will take, and what of it will be rejected. `slts prepare action=verify data=DIR` re-reads what was made, prints
its statistics and one line for every fault, and ends with status 1 if there is any.
"""

import time
from functools import partial
from pathlib import Path

from slts.corpora import load_corpus
from slts.errors import UserError
from slts.offsets.injection import inject_offset
from slts.secrecy import without_secrets


def main(config) -> int:
    needed, other = ("out", "data") if config.action == "make" else ("data", "out")
    if config.dry_run and config.action != "make":
        raise UserError(f"dry_run=true: action={config.action} reads what is there; leave dry_run= or action= out")
    if config[needed] is None and not config.dry_run:
        raise UserError(f"{needed}=... is required with action={config.action} (slts prepare --help lists every key)")
    if config[other] is not None:
        given = without_secrets(config[other])
        raise UserError(f"{other}={given}: action={config.action} takes {needed}=DIR only; leave {other} out")
    if config.dry_run:
        return _forecast(config)
    return _make(config) if config.action == "make" else _verify(config)


def _make(config) -> int:
    from slts.data.contact_sheet import write_contact_sheet
    from slts.data.destination import destination
    from slts.data.media.folder import unread_note

    out = destination(config)
    corpus = make_corpus(config)
    if corpus is None:
        print(f"part {config.part} is in {out}; the last part to be done writes corpus.json")
        return 0
    for split, facts in corpus["splits"].items():
        print(f"{split:>6}: {facts['clips']} clips, {facts['hours']:.2f} h, {facts['speakers']} speakers")
    print(f"rejected: {sum(corpus['rejected'].values())} {corpus['rejected'] or ''} ({out}/rejected.jsonl)")
    if note := unread_note(corpus["unread"]):
        print(note)
    for kind, clips in corpus["several_streams"].items():
        key = f"{kind}_stream"
        if config.get(key) is None:
            hint = f"; {key}= takes another" if key in config else ""
            print(f"{clips} clips are of files with several {kind} streams, of which the default one is read{hint}")
    print(f"look at {write_contact_sheet(corpus, out)}; {corpus['seconds']} s")
    return 0


def make_corpus(config) -> dict | None:
    """corpus.json of the shards that a config makes (see slts.data.preparation.prepare_corpus), and ``unread``, the
    files of the root that the reader passed over; None while parts are missing."""
    from slts.data.preparation import prepare_corpus

    utterances, unread = load_corpus(config.corpus, config)
    corpus = prepare_corpus(config, utterances, _inject(config), unread)
    return corpus and {**corpus, "unread": unread}


def _inject(config) -> partial | None:
    return None if config.inject == "none" else partial(inject_offset, profile=config.inject)


def _forecast(config) -> int:
    from slts.data.dry_run import report

    began = time.monotonic()
    utterances, _ = load_corpus(config.corpus, config)
    report(config, utterances, _inject(config), time.monotonic() - began)
    return 0


def _verify(config) -> int:
    from slts.data.engine import engine_of
    from slts.data.location import typed_data
    from slts.data.shard_source import corpus_at
    from slts.data.verification import table, verify_corpus

    data = typed_data(config)
    corpus = corpus_at(data)
    shared = [data / "corpus.json"] if isinstance(data, Path) else []
    found = verify_corpus(data, engine_of(config, *shared), config.part)
    print(table(corpus["name"], found))
    for fault in found.faults:
        print(fault)
    shards = f"{len(corpus['shards'])} shards" if config.part is None else f"part {config.part} of the shards"
    print(
        f"{sum(found.clips.values())} of {len(found.keys)} clips are good, {shards}; picture and "
        f"sound differ by {1000 * found.apart:.3f} ms at most; {len(found.faults)} faults"
    )
    return 1 if found.faults else 0
