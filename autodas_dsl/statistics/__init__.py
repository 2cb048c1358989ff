"""Run a network once and collect what formulas name.

`collect` runs the passes, `store` keeps their results.
"""
