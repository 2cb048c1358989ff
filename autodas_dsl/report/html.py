"""HTML from Python calls: everything is escaped unless it is `Markup` already."""

from __future__ import annotations

from autodas_dsl.language.visible import escape

_VOID = frozenset({"br", "input", "link", "meta"})
_BLOCK = frozenset({
    "article", "body", "details", "dl", "div", "figure", "figcaption", "footer", "g", "h1", "h2",
    "h3", "head", "header", "html", "li", "main", "meta", "nav", "ol", "p", "pre", "script",
    "section", "style", "svg", "table", "tbody", "thead", "title", "tr", "ul",
})  # fmt: skip


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | None
Attribute = str | int | float | bool | None


def tag(name: str, /, *children: Content, **attributes: Attribute) -> Markup:
    """An element.

    Parameters
    ----------
    name : str
    children : str or None
        Plain text is escaped; None is left out.
    attributes
        ``class_`` is written ``class``, other underscores as hyphens; True is written bare, None
        and False are left out.
    """
    head = "".join([name, *(_attribute(key, value) for key, value in attributes.items())])
    end = "\n" if name in _BLOCK else ""
    if name in _VOID:
        return Markup(f"<{head}>{end}")
    return Markup(f"<{head}>{join(*children)}</{name}>{end}")


def join(*children: Content) -> Markup:
    """Several pieces, one after the other."""
    return Markup("".join(_child(child) for child in children if child is not None))


def _child(child: str) -> str:
    return child if isinstance(child, Markup) else escape(child, quote=False)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = "class" if key == "class_" else key.replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
