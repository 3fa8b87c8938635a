"""One module for each section of a sample: `facts(before)`, with `before` the sample before it.

Each costs few calls of one engine, and raises what that engine's client raises. Called by
taking.py, which has patience for them.
"""
