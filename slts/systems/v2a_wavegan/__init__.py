"""V2A-WaveGAN: video to waveform against two critics (Mira et al., arXiv 2104.13332), the raw-audio base of AV2A.

Known at hand are the kinds of networks, critics and losses, and the weights of the losses from memory; widths, kernels
and where the speaker joins are ours. PASE, whose features its first loss compares, is replaced by the log-mel.
"""
