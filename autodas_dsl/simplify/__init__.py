"""The same formula, smaller: laws, proposals of sympy, and the proof that gates both."""
