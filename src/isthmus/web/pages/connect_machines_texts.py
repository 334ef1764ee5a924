"""What the page for many machines at once says."""

from isthmus.web.i18n import Text

MACHINES = {
    "machines.title": Text("Add machines", "Maschinen hinzufügen"),
    "machines.many": Text("Many of one type, from a table", "Viele eines Typs, aus einer Tabelle"),
    "machines.many.none": Text("No machine type yet", "Noch kein Maschinentyp"),
    "machines.many.none.text": Text(
        "A table needs a type and a line. Connect the first machine, and make its type on the page"
        " Map; the others then come from a table.",
        "Eine Tabelle braucht einen Typ und eine Linie. Binden Sie die erste Maschine an und machen"
        " Sie ihren Typ auf der Seite Zuordnen; die anderen kommen dann aus einer Tabelle.",
    ),
    "machines.type": Text("Machine type", "Maschinentyp"),
    "machines.line": Text("Line", "Linie"),
    "machines.next": Text("Next", "Weiter"),
    "machines.columns": Text("Columns", "Spalten"),
    "machines.column.machine": Text(
        "short name in the model, such as im-50", "Kurzname im Modell, z. B. im-50"
    ),
    "machines.column.name": Text("name on the pages", "Name auf den Seiten"),
    "machines.column.source": Text(
        "which source it reads; empty: one of its own name",
        "welche Quelle sie liest; leer: eine mit ihrem Namen",
    ),
    "machines.column.ideal_cycle": Text(
        "planned time per part, such as 28 s", "geplante Zeit je Teil, z. B. 28 s"
    ),
    "machines.column.param": Text("parameter of the type", "Parameter des Typs"),
    "machines.column.new": Text(
        "of a source that is to be made; empty where it is there",
        "einer Quelle, die neu ist; leer, wo es sie schon gibt",
    ),
    "machines.needed": Text("needed", "nötig"),
    "machines.template": Text("Download an empty table", "Leere Tabelle herunterladen"),
    "machines.table": Text(
        "The table: paste it from Excel, or CSV", "Die Tabelle: aus Excel einfügen, oder CSV"
    ),
    "machines.file": Text("or a CSV file", "oder eine CSV-Datei"),
    "machines.set": Text(
        "For every row: column = text; {host} in it is that row's cell",
        "Für jede Zeile: Spalte = Text; {host} darin ist die Zelle der Zeile",
    ),
    "machines.show": Text("Check and show the change", "Prüfen und Änderung zeigen"),
    "machines.preview": Text("The table as it was read", "Die Tabelle, wie sie gelesen wurde"),
    "machines.preview.note": Text("{n} machines", "{n} Maschinen"),
    "machines.preview.note.one": Text("1 machine", "1 Maschine"),
    "machines.wrong": Text(
        "{n} places to mend; nothing was changed", "{n} Stellen zu berichtigen; nichts ist geändert"
    ),
    "machines.wrong.one": Text(
        "1 place to mend; nothing was changed", "1 Stelle zu berichtigen; nichts ist geändert"
    ),
    "machines.row": Text("Row", "Zeile"),
    "machines.row.whole": Text("row {row}", "Zeile {row}"),
    "machines.row.column": Text("row {row}, column {column}", "Zeile {row}, Spalte {column}"),
    "machines.not_utf8": Text(
        "the file is not UTF-8 (byte {at}): save it as “CSV UTF-8”",
        "die Datei ist nicht UTF-8 (Byte {at}): Speichern Sie sie als „CSV UTF-8“",
    ),
    "machines.set.wrong": Text("`{line}` is not column = text", "`{line}` ist nicht Spalte = Text"),
    "machines.clone": Text("One like another", "Eine wie eine andere"),
    "machines.clone.none": Text("No machine yet", "Noch keine Maschine"),
    "machines.clone.none.text": Text(
        "There is none that another could be like.", "Es gibt keine, der eine andere gliche."
    ),
    "machines.clone.original": Text("The machine to copy", "Die Maschine, die kopiert wird"),
    "machines.clone.name": Text("Short name of the new one", "Kurzname der neuen"),
    "machines.clone.differs": Text("What differs", "Was sich unterscheidet"),
    "machines.clone.now": Text("there: {now}", "dort: {now}"),
    "machines.clone.title": Text("name on the pages", "Name auf den Seiten"),
    "machines.clone.source": Text(
        "a source that is there already; empty: a new one like that of the machine",
        "eine Quelle, die es schon gibt; leer: eine neue wie die der Maschine",
    ),
    "machines.link": Text("Add machines", "Maschinen hinzufügen"),
}
