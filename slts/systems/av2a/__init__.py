"""AV2A: video-to-speech that also hears what a first system says of the same video (Kefalas et al., arXiv 2307.16584).

Its full text and code were not at hand. From the abstract and from notes of others are: the base whose weights it
begins with, the appended audio encoder, the three procedures and the statistics of batch norm for each combination of
inputs. Sizes of the encoder, where it joins, the odds of dropout, and what an absent input becomes are ours.
"""
