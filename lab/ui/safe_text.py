"""Text as a page may show it: what would be invisible, or turn text round, is written out."""

import unicodedata

_KEPT = {"\n", "\t", " "}
# Zs other than the plain space: a no-break or wide space looks like one and is not.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


def visible(text: str) -> str:
    """Write out control, zero-width, bidi, private and half-surrogate characters as ⟨U+202E⟩.

    Space, newline and tab stay: the token panel draws those itself.
    """
    return "".join(_write_out(character) for character in text)


def _write_out(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))  # the control pictures: ␀ ␁ ... ␟
    return f"⟨U+{ord(character):04X}⟩"
