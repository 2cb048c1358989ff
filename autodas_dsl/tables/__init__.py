"""Tables: measured accuracies of architectures, read from CSV, imported, described, written."""

from __future__ import annotations

from autodas_dsl.tables.read import builtin_tables, load_table
from autodas_dsl.tables.table import Table, table_text, write_table

__all__ = ["Table", "builtin_tables", "load_table", "table_text", "write_table"]
