"""Every screen speaks both languages."""

import re
import string
from pathlib import Path

import pytest

import isthmus.web
from isthmus.web.i18n import LANGUAGES, Text, Translator, merged
from isthmus.web.pages import PAGES
from isthmus.web.texts import KPIS, PANELS, SHELL, SIGN_IN

TEXTS = merged(SHELL, PANELS, KPIS, SIGN_IN, *(page.texts for page in PAGES))
WEB = Path(isthmus.web.__file__).parent


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_message_exists_in_both_languages_with_the_same_gaps() -> None:
    for key, text in TEXTS.items():
        assert all(part.strip() for part in text), key
        assert fields(text.en) == fields(text.de), key


def sources(*kinds: str) -> str:
    files = [file for kind in kinds or ("html", "py") for file in WEB.rglob(f"*.{kind}")]
    return "\n".join(file.read_text("utf-8") for file in files)


def test_every_message_a_template_asks_for_exists() -> None:
    asked = set(re.findall(r"""\bt\(["']([a-z_0-9.]+[a-z_0-9])["'][,)]""", sources()))
    assert len(asked) > 100
    assert asked - TEXTS.keys() == set()


def test_no_message_is_left_that_nobody_shows() -> None:
    text = sources()
    defined = re.compile(r'^    "([a-z_0-9.]+)": Text', re.MULTILINE)
    used = defined.sub("", text)
    # Keys put together from a word of the model or the view: f"kind.{kind}", "loss." ~ step.key.
    built = set(re.findall(r"""["']([a-z_.]+\.)(?:\{|["']\s*~)""", used))
    built |= {f"{page.name}.title" for page in PAGES} | {"account.", "token.", "setup."}
    built |= {"language.", "theme.", "density.", "shortcuts."}  # the user menu's `key ~ "."`
    # An island gets its words by their last part; what troubles there are, the workbench says.
    islands = sources("js") + (WEB / "workbench.py").read_text("utf-8")
    built |= {"browse.quality."}  # `quality.${one.quality}`
    left = {
        key
        for key in TEXTS
        if f'"{key}"' not in used
        and f"'{key}'" not in used
        and key.removesuffix(".one") not in used
        and not (key.startswith("browse.") and f'"{key.partition(".")[2]}"' in islands)
        and not any(key.startswith(start) for start in built)
    }
    assert left == set()


def test_one_is_said_otherwise_than_many() -> None:
    say = Translator(
        {"stop": Text("{n} stops", "{n} Stopps"), "stop.one": Text("1 stop", "1 Stopp")}, "en"
    )
    assert (say("stop", n=1), say("stop", n=2)) == ("1 stop", "2 stops")


def test_a_label_of_the_model_falls_back_to_the_other_language_and_then_to_the_name() -> None:
    say = Translator({}, "de")
    assert say.label({"en": "Jam", "de": "Stau"}, "jam") == "Stau"
    assert say.label({"en": "Jam"}, "jam") == "Jam"
    assert say.label({}, "jam") == "jam"


def test_a_message_is_defined_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        merged({"a": Text("a", "a")}, {"a": Text("b", "b")})


def test_both_languages_are_spoken() -> None:
    assert LANGUAGES == ("en", "de")
