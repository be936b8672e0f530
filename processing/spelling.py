r"""How the name of a file is written where only text can be: a byte that is not UTF-8 is ``\xff``, as a shell shows it.

Linux has names of bytes; the store, JSON and pages have text. Each name has one spelling and each spelling stands for
one name: a name in which ``\xff`` is written out is spelled ``\x5cxff``, and all other text is itself.
"""

import os
import re

_ESCAPED = re.compile(r"\\x(5c|[89a-f][0-9a-f])")
_WRITTEN_OUT = re.compile(r"\\(?=x(?:5c|[89a-f][0-9a-f]))")
_BYTE = re.compile("[\udc80-\udcff]")  # as Python has a byte of a name that is not UTF-8


def spelled(name: str) -> str:
    r"""A name or path, as the operating system has it, as text.

    >>> spelled("h\u00e9-\udcff.nxs"), spelled(r"a\b"), spelled(r"a\xff")
    ('hé-\\xff.nxs', 'a\\b', 'a\\x5cxff')
    """
    return shown(_WRITTEN_OUT.sub(r"\\x5c", name))


def on_disk(spelling: str) -> str:
    r"""The name or path that a text stands for, as the operating system has it.

    >>> on_disk(r"h\xff.nxs").encode("utf-8", "surrogateescape"), on_disk(r"a\x5cxff")
    (b'h\xff.nxs', 'a\\xff')
    """
    found = _ESCAPED.sub(lambda escape: "\\" if escape[1] == "5c" else chr(0xDC00 + int(escape[1], 16)), spelling)
    return os.fsdecode(os.fsencode(found))


def shown(text: str, escape: str = r"\x") -> str:
    r"""Text in which bytes that are not UTF-8 can be read; for messages that hold a name, nothing is found by it.

    Args:
        text: of any kind.
        escape: how such a byte begins; ``\\x`` where the text is JSON already.
    """
    return _BYTE.sub(lambda byte: f"{escape}{ord(byte[0]) - 0xDC00:02x}", text)
