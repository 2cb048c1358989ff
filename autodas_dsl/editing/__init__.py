"""Editing comfort: what an editor asks about a document, and the language server that answers.

Nothing here imports torch; only `lsp` needs pygls.
"""
