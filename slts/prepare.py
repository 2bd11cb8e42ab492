"""Raw corpus to shards: decode, find the face, crop, write WebDataset tars with corpus.json and rejected.jsonl.

`slts prepare corpus=synthetic profile=lagged out=DIR` needs no download; `slts prepare corpus=grid root=DIR out=DIR`
reads GRID; `slts prepare corpus=folder root=DIR out=DIR` reads any folder of talking-face videos. Run it again to
continue after an interruption.
"""


def main(config) -> None:
    from slts.data.preparation import prepare_corpus

    prepare_corpus(config)
