"""A page in the browser: a video's offset and its repair, its speech, its dub.

`slts demo` tells offsets by the shipped estimator; speech=RUN and dub=RUN fill the other two tabs. Drop a video, or try
a drawn head. Ctrl-C ends it. Uploads and results lie in one folder of this process, which goes with it; nothing is sent
elsewhere, and the page is seen from this machine alone unless host= says otherwise.
"""

import importlib.util


def main(config) -> None:
    import signal
    import threading

    from slts.demo.answers import Runs
    from slts.demo.serving import served
    from slts.errors import UserError
    from slts.offsets.alignment import load_estimator
    from slts.systems.contract import SPEECH
    from slts.systems.dubbing import Manner, face_crop
    from slts.systems.trained import load_run_giving
    from slts.systems.wav2lip.published import load_drawing

    if importlib.util.find_spec("gradio") is None:
        raise UserError("the page needs Gradio, which is not installed: pip install 'slts[demo]'")
    offset, which = load_estimator(config.offset, checkpoint=config.checkpoint), config.checkpoint
    speech = config.speech and load_run_giving((SPEECH,), "slts demo speech=", config.speech, which)
    dub = config.dub and load_drawing(config.dub, "slts demo dub=", which, config.mel_lead_ms)
    if dub:
        face_crop(dub, Manner(config.faces))  # what cannot dub any film is said at once
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, its files with it
    with served(config, Runs(offset, speech, dub, config.faces)) as address:
        print(f"slts demo is at {address}; Ctrl-C ends it and removes its files", flush=True)
        threading.Event().wait()
