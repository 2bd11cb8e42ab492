"""Results beside the published ones, for the notebooks of ``analysis/`` and for ``slts tables``.

``results`` reads run directories, ``project`` brings those of a W&B project, ``published`` reads the paper's numbers,
``paper`` puts both into the paper's tables, ``table`` writes one as HTML, Markdown, LaTeX or CSV, ``figures`` draws,
``page`` makes the HTML report, ``evidence`` the record of a set of runs.
"""
