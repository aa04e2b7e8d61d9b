"""Text in a page: as it is read, never as markup."""

import html

from assay.errors import printable


def escape(text: str) -> str:
    r"""A text as HTML; what can't be seen in it, or would turn it around, is shown as its escape.

    >>> escape("<b>\u202e")
    '&lt;b&gt;\\u202e'
    """
    return html.escape(printable(text))
