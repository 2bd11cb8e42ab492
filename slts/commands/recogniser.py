"""Train the recogniser of k-WER on a prepared corpus's own sound and texts: whole-word models under GRID's grammar.

`slts recogniser data=DIR` leaves DIR/recogniser/: models.safetensors and recogniser.json with the error rate on the val
split. `slts evaluate` then fills k_wer. Takes about half a minute of one CPU core for 900 clips of 3 s, and twice that
with copies=1, which hears noisy and blurred speech better and clean speech no better.
"""


def main(config) -> None:
    import time
    from functools import partial
    from pathlib import Path

    import torch
    from rich.progress import track

    from slts import __version__
    from slts.data.shards import read_corpus_json
    from slts.errors import UserError
    from slts.metrics.words import word_error_rate
    from slts.recognition.examples import examples_of
    from slts.recognition.grammar import GRID
    from slts.recognition.speech import read_speech
    from slts.recognition.trained import TrainedRecogniser
    from slts.recognition.training import PASSES, train_word_models

    torch.set_num_threads(1)  # quicker for small arrays, and sums do not depend on the number of cores
    began = time.monotonic()
    data = Path(config.data)
    out = Path(config.out or data / "recogniser")
    corpus = read_corpus_json(data)
    examples = examples_of(read_speech(data, "train"), GRID, config.copies, config.seed)
    if not examples:
        raise UserError(
            f"data={data}: no training clip's text is a sentence of GRID's grammar, the only one there is; "
            "k-WER needs one, w-WER does not (slts evaluate whisper=...)"
        )
    said = {word for example in examples for word in example.words}
    unheard = [word for word in GRID.words if word not in said]
    words = tuple(word for word in GRID.words if word in said)
    passes = partial(track, description="training", total=len(PASSES))
    recogniser = TrainedRecogniser(train_word_models(examples, words, passes), GRID)
    held_out = [clip for clip in read_speech(data, "val") if GRID.parse(clip.text)]
    heard = [_heard(recogniser, clip.audio) for clip in held_out]
    rate = word_error_rate([(clip.text or "").lower() for clip in held_out], heard) if held_out else None
    facts = {
        "corpus": corpus["name"],
        "corpus_hash": corpus["hash"],
        "clips": len(examples) // (1 + config.copies),
        "copies": config.copies,
        "seed": config.seed,
        "val_clips": len(held_out),
        "val_wer": rate,
        "unheard": unheard,
        "version": __version__,
    }
    recogniser.save(out, facts)
    if unheard:
        print(f"no training clip says {', '.join(unheard)}: never recognised")
    result = "no val split to test it on" if rate is None else f"WER {rate:.2%} on {len(held_out)} val clips"
    print(f"{facts['clips']} clips, {result}, in {out}; {time.monotonic() - began:.0f} s")


def _heard(recogniser, audio) -> str:
    from slts.metrics import Undefined

    try:
        return recogniser.transcribe(audio)
    except Undefined:
        return ""
