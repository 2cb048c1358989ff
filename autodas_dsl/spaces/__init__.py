"""Parametric families of networks, one file each behind one small interface.

A file of this folder that holds ``SPACE`` adds a family; a file anywhere else that holds a
`Space` is used through `load`.
"""

from autodas_dsl.spaces.base import Space
from autodas_dsl.spaces.fields import Field, FieldSpace
from autodas_dsl.spaces.registry import get, load, names, resolve

__all__ = ["Field", "FieldSpace", "Space", "get", "load", "names", "resolve"]
