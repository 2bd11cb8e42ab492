"""Raw corpus to shards: decode, find the face, crop, write WebDataset tars with corpus.json and rejected.jsonl.

`slts prepare corpus=synthetic profile=lagged out=DIR` needs no download; `slts prepare corpus=grid root=DIR out=DIR`
reads GRID; `slts prepare corpus=folder root=DIR out=DIR` reads any folder of talking-face videos. Run it again to
continue after an interruption. `slts prepare action=verify data=DIR` re-reads what was made, prints its statistics and
one line for every fault, and ends with status 1 if there is any.
"""

from functools import partial
from pathlib import Path

from slts.corpora import load_corpus
from slts.errors import UserError
from slts.offsets.injection import inject_offset


def main(config) -> int:
    needed, other = ("out", "data") if config.action == "make" else ("data", "out")
    if config[needed] is None:
        raise UserError(f"{needed}=... is required with action={config.action} (slts prepare --help lists every key)")
    if config[other] is not None:
        raise UserError(f"{other}={config[other]}: action={config.action} takes {needed}=DIR only; leave {other} out")
    return _make(config) if config.action == "make" else _verify(config)


def _make(config) -> int:
    from slts.data.contact_sheet import write_contact_sheet

    out = Path(config.out)
    corpus = make_corpus(config)
    for split, facts in corpus["splits"].items():
        print(f"{split:>6}: {facts['clips']} clips, {facts['hours']:.2f} h, {facts['speakers']} speakers")
    print(f"rejected: {sum(corpus['rejected'].values())} {corpus['rejected'] or ''} ({out}/rejected.jsonl)")
    print(f"look at {write_contact_sheet(corpus, out)}; {corpus['seconds']} s")
    return 0


def make_corpus(config) -> dict:
    """corpus.json of the shards that a config makes; see slts.data.preparation.prepare_corpus."""
    from slts.data.preparation import prepare_corpus

    inject = None if config.inject == "none" else partial(inject_offset, profile=config.inject)
    return prepare_corpus(config, load_corpus(config.corpus, config), inject)


def _verify(config) -> int:
    from slts.data.shards import read_corpus_json
    from slts.data.verification import table, verify_corpus

    data = Path(config.data)
    corpus = read_corpus_json(data)
    found = verify_corpus(data, config.workers)
    print(table(corpus["name"], found))
    for fault in found.faults:
        print(fault)
    print(
        f"{sum(found.clips.values())} of {len(found.keys)} clips are good, {len(corpus['shards'])} shards; picture and "
        f"sound differ by {1000 * found.apart:.3f} ms at most; {len(found.faults)} faults"
    )
    return 1 if found.faults else 0
