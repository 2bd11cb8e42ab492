"""The verbs of ``slts``, one module each: compose a config, call one function, report.

``slts train`` and ``slts evaluate`` are ``slts/train.py`` and ``slts/evaluate.py``, where ``accelerate launch`` finds
them.
"""
