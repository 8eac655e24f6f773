"""The names in `\\p{…}`: Go 1.25 and later take long names and loose spelling, RE2 only the short exact ones.

Go looks a name up after dropping spaces, hyphens and underscores and making it `Capitalised`. So Go
refuses the scripts whose names have an underscore or an inner capital, as Old_Italic: no spelling survives.
Category names are Go's `unicode.CategoryAliases`; script names are the same in both once spelled Go's way.
"""

from processor.patterns.errors import UNSUPPORTED_CLASS, PatternError

# RE2 lacks these or gives them another content, since it knows no unassigned code points.
_UNSUPPORTED = {
    "C": "use `\\p{Cc}`, `\\p{Cf}` or `\\p{Co}`",
    "Cn": "name the classes that are meant, such as `\\p{Co}`",
    "Lc": "use `[\\p{Lu}\\p{Ll}\\p{Lt}]`",
    "Assigned": "name the classes that are meant, such as `[\\pL\\pN\\pP\\pS]`",
    "Ascii": "use `[[:ascii:]]`",
}

_LONG_NAMES = {
    "Casedletter": "Lc",
    "Closepunctuation": "Pe",
    "Cntrl": "Cc",
    "Combiningmark": "M",
    "Connectorpunctuation": "Pc",
    "Control": "Cc",
    "Currencysymbol": "Sc",
    "Dashpunctuation": "Pd",
    "Decimalnumber": "Nd",
    "Digit": "Nd",
    "Enclosingmark": "Me",
    "Finalpunctuation": "Pf",
    "Format": "Cf",
    "Initialpunctuation": "Pi",
    "Letter": "L",
    "Letternumber": "Nl",
    "Lineseparator": "Zl",
    "Lowercaseletter": "Ll",
    "Mark": "M",
    "Mathsymbol": "Sm",
    "Modifierletter": "Lm",
    "Modifiersymbol": "Sk",
    "Nonspacingmark": "Mn",
    "Number": "N",
    "Openpunctuation": "Ps",
    "Other": "C",
    "Otherletter": "Lo",
    "Othernumber": "No",
    "Otherpunctuation": "Po",
    "Othersymbol": "So",
    "Paragraphseparator": "Zp",
    "Privateuse": "Co",
    "Punct": "P",
    "Punctuation": "P",
    "Separator": "Z",
    "Spaceseparator": "Zs",
    "Spacingmark": "Mc",
    "Surrogate": "Cs",
    "Symbol": "S",
    "Titlecaseletter": "Lt",
    "Unassigned": "Cn",
    "Uppercaseletter": "Lu",
}


def re2_class_name(name: str, part: str) -> str:
    """The name RE2 knows for what Go understands by `name`; one unknown to both comes back for RE2 to refuse.

    `part` is the whole escape, for the message. Raises PatternError for the classes RE2 gives other content.
    """
    if not name.isascii():
        return name  # neither knows it, and changing its case might make it a name they know
    letters = name.replace("_", "").replace("-", "").replace(" ", "")
    canonical = letters[:1].upper() + letters[1:].lower()
    canonical = _LONG_NAMES.get(canonical, canonical)
    advice = _UNSUPPORTED.get(canonical)
    if advice is not None:
        raise PatternError(UNSUPPORTED_CLASS, part, advice)
    return canonical
