"""Raw corpus to shards: decode, find the face, crop, write WebDataset tars with corpus.json and rejected.jsonl.

`slts prepare corpus=synthetic profile=lagged out=DIR` needs no download; `slts prepare corpus=grid root=DIR out=DIR`
reads GRID; `slts prepare corpus=folder root=DIR out=DIR` reads any folder of talking-face videos. Run it again to
continue after an interruption.
"""


def main(config) -> None:
    from pathlib import Path

    from slts.data.contact_sheet import write_contact_sheet
    from slts.data.preparation import prepare_corpus

    out = Path(config.out)
    corpus = prepare_corpus(config)
    for split, facts in corpus["splits"].items():
        print(f"{split:>6}: {facts['clips']} clips, {facts['hours']:.2f} h, {facts['speakers']} speakers")
    print(f"rejected: {sum(corpus['rejected'].values())} {corpus['rejected'] or ''} ({out}/rejected.jsonl)")
    print(f"look at {write_contact_sheet(corpus, out)}; {corpus['seconds']} s")
