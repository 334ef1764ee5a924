"""What the Connect pages refuse, and why."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SENTENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "nothing is chosen": "es ist nichts gewählt",
        "nothing is chosen: a machine type needs at least one field": "es ist nichts gewählt: ein Maschinentyp braucht mindestens ein Feld",
        "the model has errors already: `isthmus check` shows them": "das Modell hat schon Fehler: `isthmus check` zeigt sie",
        "say in which line the machine stands, as `site/area/line`": "sagen Sie, in welcher Linie die Maschine steht, als `standort/bereich/linie`",
        "a machine needs a name and a type": "eine Maschine braucht einen Namen und einen Typ",
        "no block `<name>`; <hint>": "kein Block `<name>`; <hint!>",
        "no source `<name>` that a machine reads from; <hint>": "keine Quelle `<name>`, von der eine Maschine liest; <hint!>",
        "no machine": "keine Maschine",
        "`<name>` is read by <machines>; say which with --machine": "`<name>` wird gelesen von <machines*>; sagen Sie mit --machine, welche",
        "`<key>` would stand in the model for all to read: write `<text>` and set the environment variable `<name>` for the platform": "`<key>` stünde für alle lesbar im Modell: schreiben Sie `<text>`, und setzen Sie die Umgebungsvariable `<name>` für die Plattform",
        "`<key>` would stand in the model for all to read: write ${<name>} and set the environment variable <name> for the platform": "`<key>` stünde für alle lesbar im Modell: schreiben Sie ${<name>}, und setzen Sie die Umgebungsvariable <name> für die Plattform",
        "`<name>`: a name has small letters, digits, - and _ only": "`<name>`: ein Name hat nur Kleinbuchstaben, Ziffern, - und _",
        "there is no kind of source `<kind>`": "es gibt keine Art von Quelle `<kind>`",
        "`<key>`: the platform has no environment variable <name#>": "`<key>`: die Plattform hat keine Umgebungsvariable <name>",
        "there is no site `<name>`": "es gibt keinen Standort `<name>`",
        "there is no source `<name>`": "es gibt keine Quelle `<name>`",
        "the server shows another certificate now: compare it again": "der Server zeigt jetzt ein anderes Zertifikat: vergleichen Sie es noch einmal",
        "the certificate <wrong>: the server needs a new one first": "das Zertifikat <wrong!>: der Server braucht zuerst ein neues",
        "`<name>` is no OPC UA source": "`<name>` ist keine OPC-UA-Quelle",
        "the servers of `<name>` offer no security that all of them have": "die Server von `<name>` bieten keine Sicherheit, die alle haben",
        "`<name>` is in the model: its security is changed there": "`<name>` steht im Modell: seine Sicherheit wird dort geändert",
        "the model in <folder> cannot be written: <why>": "das Modell in <folder> ist nicht schreibbar: <why!>",
        "the change cannot be kept: <why>": "die Änderung lässt sich nicht aufheben: <why!>",
        "the model was changed meanwhile: look at the change again": "das Modell wurde inzwischen geändert: sehen Sie die Änderung noch einmal an",
        "a list of tags needs a column `tag` (or `address`)": "eine Liste von Signalen braucht eine Spalte `tag` (oder `Adresse`)",
        "and <count#> rows more": "und <count> Zeilen mehr",
        "the list has no tag": "die Liste hat kein Signal",
        "it is being browsed now: wait until that ends": "sie wird gerade durchsucht: warten Sie, bis das zu Ende ist",
        "this change can be undone no more: others came after it": "diese Änderung lässt sich nicht mehr rückgängig machen: andere kamen danach",
        "no source `<name>`; <hint>": "keine Quelle `<name>`; <hint!>",
        "there is no source `<name>` in the model": "es gibt keine Quelle `<name>` im Modell",
        "the model was changed": "das Modell wurde geändert",
        "a source of kind `<kind>` has no list of its tags to browse; write one as a table: `<command>`": "eine Quelle der Art `<kind>` hat keine Liste ihrer Tags; schreiben Sie eine als Tabelle: `<command>`",
        "What comes is on the page of its machine": "Was kommt, steht auf der Seite seiner Maschine",
        "To look around, wait until another look ends, allow one more (`<text>`), or set `enabled: false` meanwhile": "Um sich umzusehen, warten Sie, bis ein anderer fertig ist, erlauben Sie eine mehr (`<text>`), oder setzen Sie inzwischen `enabled: false`",
        "the budget of <device> allows <most#>, and its connection is in use": "das Budget von <device> erlaubt <most>, und die ist belegt",
        "the budget of <device> allows <most#>, and its connection is in use by intake": "das Budget von <device> erlaubt <most>, und die ist vom Einlesen belegt",
        "the budget of <device> allows <most#>, and all connections are in use": "das Budget von <device> erlaubt <most>, und alle sind belegt",
        "the budget of <device> allows <most#>, and all connections are in use by intake": "das Budget von <device> erlaubt <most>, und alle sind vom Einlesen belegt",
        "others hold all connections that its device's `budget` allows: a `isthmus probe`, `browse` or `suggest`, or a page": "andere belegen alle Verbindungen, die das `budget` seines Geräts erlaubt: ein `isthmus probe`, `browse` oder `suggest`, oder eine Seite",
        "It is read when one of them ends": "Es wird gelesen, wenn eine davon endet",
        "no platform runs on <folder>": "auf <folder> läuft keine Plattform",
    }
)
