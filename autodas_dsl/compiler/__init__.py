"""Typed tree to interned DAG to torch."""
