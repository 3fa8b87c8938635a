"""The checks themselves, one file each: a function of a Watch that gives an Outcome."""
