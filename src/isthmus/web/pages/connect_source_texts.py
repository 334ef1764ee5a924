"""What the endpoint page says of a source of the model."""

from isthmus.web.i18n import Text

SOURCE = {
    "source.note": Text("as the model has it", "wie das Modell sie beschreibt"),
    "source.note.changed": Text("changed, not yet written", "geändert, noch nicht geschrieben"),
    "source.show": Text("Show the change", "Änderung zeigen"),
    "source.try": Text("Test the change for {n} s", "Änderung {n} s testen"),
    "source.forget": Text("Forget the change", "Änderung verwerfen"),
    "source.beside": Text(
        "The running source goes on meanwhile: the test opens a connection of its own beside it, if"
        " the device's budget allows one more; otherwise it says so and opens none.",
        "Die laufende Quelle läuft weiter: Der Test öffnet daneben eine eigene Verbindung, wenn"
        " das Budget des Geräts noch eine erlaubt; sonst sagt er das und öffnet keine.",
    ),
    "source.beside.webhook": Text(
        "The running source goes on meanwhile and holds its port: a test of the same port says"
        " that it is in use. Switch the source off first, or test another port.",
        "Die laufende Quelle läuft weiter und hält ihren Port: Ein Test auf demselben Port sagt,"
        " dass er belegt ist. Schalten Sie die Quelle vorher aus, oder testen Sie einen anderen"
        " Port.",
    ),
    "source.tried.changed": Text("Tested as changed above.", "So getestet, wie oben geändert."),
    "source.tried.written": Text(
        "Tested as the model has it.", "So getestet, wie das Modell sie beschreibt."
    ),
    "source.by_hand": Text("Change it in the file: {why}", "In der Datei zu ändern: {why}"),
    "source.whole": Text("Switch off or remove", "Ausschalten oder entfernen"),
    "source.whole.on": Text("Switch on or remove", "Einschalten oder entfernen"),
    "source.read_by": Text("Read by", "Gelesen von"),
    "source.read_by.none": Text("No machine reads from it.", "Keine Maschine liest aus ihr."),
    "source.off": Text("Switch it off", "Ausschalten"),
    "source.on": Text("Switch it on", "Einschalten"),
    "source.off.text": Text(
        "It stays in the model and is not read; its machines are unknown until it is on again.",
        "Sie bleibt im Modell und wird nicht gelesen; ihre Maschinen sind unbekannt, bis sie wieder"
        " an ist.",
    ),
    "source.on.text": Text(
        "It is switched off: it is not read, and its machines are unknown.",
        "Sie ist ausgeschaltet: Sie wird nicht gelesen, und ihre Maschinen sind unbekannt.",
    ),
    "source.remove": Text("Remove it", "Entfernen"),
    "source.remove.what": Text("Its machines", "Ihre Maschinen"),
    "source.remove.too": Text("leave the model, too", "verlassen das Modell auch"),
    "source.remove.read": Text("read from {other}", "lesen aus {other}"),
    "source.off.machines": Text(
        "{n} machines lose their source and are unknown from then on: {machines}.",
        "{n} Maschinen verlieren ihre Quelle und sind ab dann unbekannt: {machines}.",
    ),
    "source.off.machines.one": Text(
        "{machines} loses its source and is unknown from then on.",
        "{machines} verliert die Quelle und ist ab dann unbekannt.",
    ),
    "source.remove.machines": Text(
        "{n} machines lose their source and leave the model: {machines}. What was stored of them"
        " stays.",
        "{n} Maschinen verlieren ihre Quelle und verlassen das Modell: {machines}. Was von ihnen"
        " gespeichert ist, bleibt.",
    ),
    "source.remove.machines.one": Text(
        "{machines} loses its source and leaves the model. What was stored of it stays.",
        "{machines} verliert die Quelle und verlässt das Modell. Was von ihr gespeichert ist,"
        " bleibt.",
    ),
    "source.remove.instead": Text(
        "{n} machines read from {other} from then on: {machines}.",
        "{n} Maschinen lesen ab dann aus {other}: {machines}.",
    ),
    "source.remove.instead.one": Text(
        "{machines} reads from {other} from then on.", "{machines} liest ab dann aus {other}."
    ),
    "map.same": Text(
        "The model says that already: there is nothing to write.",
        "Das Modell sagt das schon: Es gibt nichts zu schreiben.",
    ),
    "map.undo": Text("Undo …", "Rückgängig machen …"),
    "map.undoing": Text("Undo the last change", "Letzte Änderung rückgängig machen"),
}
