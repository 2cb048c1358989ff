"""Run a network once and collect what formulas name.

`sources` builds networks from what the user writes, `batches` loads data, `collect` runs the
passes, `store` keeps their results.
"""
