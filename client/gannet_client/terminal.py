"""What may be shown on a terminal, whoever wrote it."""


def printable(text: str, *, keep: str = "") -> str:
    r"""Escapes every character that a terminal would not show but obey, as Python writes it in a string.

    Args:
        text: Whatever came from a file, a library or another machine.
        keep: Characters to leave as they are.

    >>> printable("\x1b[2J red\n")
    '\\x1b[2J red\\n'
    >>> printable("one line\nanother\x07", keep="\n")
    'one line\nanother\\x07'
    """
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1]
        for character in text
    )
