"""One of each thing that another package can add to slts, as small as it gets."""
