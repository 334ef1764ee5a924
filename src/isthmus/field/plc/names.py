"""Names in controllers: every target has words it keeps for itself, and lengths.

A name that is a reserved word gets `_value` appended, which is said; what else is wrong is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SUFFIX: Final = "_value"

_IEC: Final = r"[A-Za-z_][A-Za-z0-9_]*"

_IEC_WORDS: Final = """
    abs abstract acos action adr adrinst and and_then andn any any_bit any_date any_int any_num
    any_real any_string array asin at atan atan2 begin bitadr bool by byte cal calc calcn call case
    char class concat configuration constant continue cos ctd ctu ctud date date_and_time delete div
    do dt dint dword else elsif end_action end_case end_class end_configuration end_for end_function
    end_function_block end_if end_interface end_method end_namespace end_program end_property
    end_repeat end_resource end_step end_struct end_transition end_type end_union end_var end_while
    eno en eq exit exp expt extends f_edge f_trig false final find for from function function_block
    ge get goto gt if implements indexof ini initial_step insert int interface internal interval
    jmp jmpc jmpcn ld ldate ldn ldt le left len limit lint ln log lreal lt ltime ltod lword max mid
    min mod move mul mux namespace ne non_retain not null of on or or_else orn overlap override
    parse persistent pointer priority private program property protected public r r_edge r_trig
    read_only read_write real ref ref_to reference repeat replace resource ret retain retc retcn
    return right rol ror rs s sel set shl shr sin single sint sizeof sqrt sr st step stn string
    struct sub super tan task test then this time time_of_day to tod tof ton tp transition true
    trunc type udint uint ulint union until usint using var var_access var_config var_external
    var_generic var_global var_in_out var_inst var_input var_output var_stat var_temp wchar while
    with word wstring xor xorn xsizeof
"""
"""Keywords, types, operators and standard functions of IEC 61131-3, CODESYS and TwinCAT."""

_LOGIX_WORDS: Final = """
    abs acos and asin atan bool by case cos deg dint do else elsif end_case end_for end_if
    end_repeat end_while exit false for if int ln log lint lreal mod not of or rad real repeat
    return sin sint sqrt string tan then to true trunc udint uint ulint until usint while xor
    control counter message pid timer axis module
"""
"""Words of Logix' Structured Text, and types every project has."""


@dataclass(frozen=True)
class NameRules:
    """What a target takes as the name of a member."""

    title: str
    longest: int
    form: str = _IEC
    """Regular expression for the whole name."""
    form_in_words: str = "letters, digits and `_`, no digit first; umlauts are not possible"
    single_underscores: bool = True
    """No two `_` in a row and none at the end."""
    reserved: frozenset[str] = frozenset()
    """In lower case; controllers take no notice of case."""
    shortest: int = 1


class UnfitNameError(ValueError):
    """A name that the target cannot have; the text says why."""


IEC_NAMES: Final = NameRules(
    "IEC 61131-3",
    120,
    reserved=frozenset(_IEC_WORDS.split()),
)
LOGIX_NAMES: Final = NameRules("Logix", 40, reserved=frozenset(_LOGIX_WORDS.split()))


def controller_name(wanted: str, rules: NameRules) -> str:
    """The name itself, or with `_value` if the target needs it otherwise."""
    if wanted.lower() in rules.reserved or len(wanted) < rules.shortest:
        return checked(wanted + SUFFIX, rules)
    return checked(wanted, rules)


def checked(name: str, rules: NameRules) -> str:
    """The name as it is; UnfitNameError says what is wrong with it."""
    if re.fullmatch(rules.form, name) is None:
        raise UnfitNameError(f"`{name}`: a name in {rules.title} has {rules.form_in_words}")
    if len(name) > rules.longest:
        raise UnfitNameError(
            f"`{name}` has {len(name)} characters; {rules.title} takes {rules.longest}"
        )
    if rules.single_underscores and ("__" in name or name.endswith("_")):
        raise UnfitNameError(
            f"`{name}`: {rules.title} takes no two `_` in a row and none at the end"
        )
    if name.lower() in rules.reserved:
        raise UnfitNameError(f"`{name}` is a word of {rules.title} itself")
    return name


def twice(names: Mapping[str, str]) -> dict[str, list[str]]:
    """Names that more than one thing would have, whatever their case → those things."""
    found: dict[str, list[str]] = {}
    for thing, name in names.items():
        found.setdefault(name.lower(), []).append(thing)
    return {name: things for name, things in found.items() if len(things) > 1}
