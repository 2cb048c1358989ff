"""Text to typed tree and back: the grammar, the kinds, the operator table, diagnostics.

Nothing here imports torch or sympy.
"""
