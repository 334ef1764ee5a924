"""What the page *Is it complete?* says."""

from isthmus.web.i18n import Text

TEXTS = {
    "complete.title": Text("Is it complete?", "Ist alles da?"),
    "complete.verdict": Text("The answer", "Die Antwort"),
    "complete.all": Text(
        "Everything that was received is stored: {n} samples, 0 lost, {gaps}.",
        "Alles Empfangene ist gespeichert: {n} Werte, 0 verloren, {gaps}.",
    ),
    "complete.accounted": Text(
        "Everything that was received is accounted for: {stored} of {n} samples stored, 0 lost,"
        " {gaps}.",
        "Alles Empfangene ist nachgewiesen: {stored} von {n} Werten gespeichert, 0 verloren,"
        " {gaps}.",
    ),
    "complete.lost": Text(
        "Not proved: {lost} of {n} samples received are not where they should be, {gaps}.",
        "Nicht nachgewiesen: {lost} von {n} empfangenen Werten fehlen, {gaps}.",
    ),
    "complete.gaps.none": Text("no gaps", "keine Lücken"),
    "complete.gaps.some": Text("{n} gaps totalling {value}", "{n} Lücken, zusammen {value}"),
    "complete.gaps.some.one": Text("1 gap of {value}", "1 Lücke von {value}"),
    "complete.aside": Text(
        "{quarantined} are in quarantine with their reason, {unmapped} belong to tags nobody"
        " mapped.",
        "{quarantined} sind mit Grund in Quarantäne, {unmapped} gehören zu nicht zugeordneten"
        " Signalen.",
    ),
    "complete.raw": Text(
        "{samples} samples are kept as RAW alone, because shaping them failed. Once the cause is"
        " mended: isthmus quarantine replay --source …",
        "{samples} Werte liegen nur als Rohdaten vor, weil ihre Umformung scheiterte. Ist die"
        " Ursache behoben: isthmus quarantine replay --source …",
    ),
    "complete.unproved": Text(
        "The sequence of parcels is broken, see below.",
        "Die Folge der Pakete ist unterbrochen, siehe unten.",
    ),
    "complete.surplus": Text(
        "{samples} samples are stored more often than they were received.",
        "{samples} Werte sind öfter gespeichert, als sie empfangen wurden.",
    ),
    "complete.hours": Text("Coverage by source and hour", "Abdeckung je Quelle und Stunde"),
    "complete.hours.steps": Text(
        "Coverage by source, {n} hours each", "Abdeckung je Quelle, je {n} Stunden"
    ),
    "complete.source": Text("Source", "Quelle"),
    "complete.sources.all": Text("All sources", "Alle Quellen"),
    "complete.tone.full": Text("complete", "vollständig"),
    "complete.tone.part": Text("gap inside", "mit Lücke"),
    "complete.tone.none": Text("no connection", "keine Verbindung"),
    "complete.tone.wrong": Text("does not add up", "geht nicht auf"),
    "complete.tone.before": Text("not heard of yet", "noch nichts gehört"),
    "complete.ledger": Text("Ledger", "Bilanz der Werte"),
    "complete.invariant": Text(
        "received = stored + quarantined + unmapped + thinned",
        "empfangen = gespeichert + Quarantäne + nicht zugeordnet + ausgedünnt",
    ),
    "complete.received": Text("Received", "Empfangen"),
    "complete.stored": Text("Stored", "Gespeichert"),
    "complete.quarantined": Text("Quarantine", "Quarantäne"),
    "complete.unmapped": Text("Unmapped", "Nicht zugeordnet"),
    "complete.clock.ahead": Text("clock {value} ahead", "Uhr geht {value} vor"),
    "complete.clock.behind": Text("clock {value} behind", "Uhr geht {value} nach"),
    "complete.thinned": Text("Thinned", "Ausgedünnt"),
    "complete.bad": Text("Bad quality", "Schlechte Qualität"),
    "complete.late": Text("Late", "Verspätet"),
    "complete.coverage": Text("Coverage", "Abdeckung"),
    "complete.heard": Text("Last value", "Letzter Wert"),
    "complete.holds": Text("adds up", "geht auf"),
    "complete.holds.not": Text("{n} missing", "{n} fehlen"),
    "complete.connected": Text("connected", "verbunden"),
    "complete.offline": Text("not connected", "nicht verbunden"),
    "complete.gaps": Text("Gaps", "Lücken"),
    "complete.no_gaps": Text("No gap in this time range.", "Keine Lücke in diesem Zeitraum."),
    "complete.more_gaps": Text("{n} earlier ones", "{n} frühere"),
    "complete.machines": Text("Machines", "Maschinen"),
    "complete.why": Text("Why", "Warum"),
    "complete.running": Text("still lasts", "dauert an"),
    "complete.put_aside": Text("Quarantine", "Quarantäne"),
    "complete.none_aside": Text(
        "Nothing was put aside in this time range.", "Nichts wurde in diesem Zeitraum ausgesondert."
    ),
    "complete.samples": Text("{n} samples", "{n} Werte"),
    "complete.samples.one": Text("1 sample", "1 Wert"),
    "complete.latest": Text("the latest {value}", "zuletzt {value}"),
    "complete.todo": Text("What to do", "Was zu tun ist"),
    "complete.replay": Text(
        "Once that is applied, on the platform's computer",
        "Wenn das angewendet ist, auf dem Rechner der Plattform",
    ),
    "complete.value": Text("Value", "Wert"),
    "complete.tag": Text("Tag", "Signal"),
    "complete.field": Text("Field", "Feld"),
    "complete.at": Text("When", "Wann"),
    "complete.proof": Text("Proof by sequence", "Nachweis über die Folge"),
    "complete.proof.note": Text(
        "Every parcel of a log has a number; none may be missing, all time counted.",
        "Jedes Paket eines Logs hat eine Nummer; keine darf fehlen, über die ganze Zeit.",
    ),
    "complete.site": Text("Plant", "Werk"),
    "complete.epoch": Text("Log", "Log"),
    "complete.parcels": Text("Parcels", "Pakete"),
    "complete.numbers": Text("Numbers", "Nummern"),
    "complete.whole": Text("complete", "vollständig"),
    "complete.broken": Text("incomplete", "unvollständig"),
    "gap.lost": Text("connection lost", "Verbindung verloren"),
    "gap.refused": Text("refused by the source", "von der Quelle abgewiesen"),
    "gap.fault": Text("fault of the connector", "Fehler des Konnektors"),
    "gap.stopped": Text("platform was down", "Plattform war aus"),
    "gap.sequence": Text("the source skipped data", "Quelle hat Daten übersprungen"),
    "gap.missed": Text("the source skipped data", "Quelle hat Daten übersprungen"),
    "gap.disk_full": Text("disk full", "Datenträger voll"),
    "gap.delayed": Text("late: disk was full", "verspätet: Datenträger war voll"),
    "gap.bad": Text("no value to be trusted", "kein vertrauenswürdiger Wert"),
    "gap.slow": Text("slower than declared", "langsamer als angegeben"),
    "gap.clock": Text("clock of the device", "Uhr des Geräts"),
    "gap.removed": Text("removed from the model", "aus dem Modell entfernt"),
    "todo.Q001": Text(
        "Look at the value; correct the sender or the address of the tag.",
        "Wert ansehen; Absender oder Adresse des Signals berichtigen.",
    ),
    "todo.Q002": Text(
        "Set the device's clock, or let it use a time server.",
        "Uhr des Geräts stellen oder einen Zeitserver nutzen lassen.",
    ),
    "todo.Q003": Text(
        "Compare both clocks; whole hours mean a wrong time zone.",
        "Beide Uhren vergleichen; ganze Stunden heißen: falsche Zeitzone.",
    ),
    "todo.Q004": Text(
        "A value that is not known must come with a bad quality.",
        "Ein unbekannter Wert muss mit schlechter Qualität kommen.",
    ),
    "todo.Q005": Text(
        "Correct the tag or the type of the field.", "Signal oder Typ des Feldes berichtigen."
    ),
    "todo.Q006": Text(
        "Usually a sensor that is not connected.", "Meist ein nicht angeschlossener Sensor."
    ),
    "todo.Q007": Text(
        "Use the type `number`, or correct `scale`.",
        "Typ `number` verwenden oder `scale` berichtigen.",
    ),
    "todo.Q008": Text(
        "Correct the type of the register or the word order.",
        "Typ des Registers oder Wortfolge berichtigen.",
    ),
    "todo.Q009": Text(
        "Correct limit or unit, or look for a broken sensor.",
        "Grenze oder Einheit berichtigen, oder den Sensor prüfen.",
    ),
    "todo.Q010": Text(
        "Correct limit or unit, or look for a broken sensor.",
        "Grenze oder Einheit berichtigen, oder den Sensor prüfen.",
    ),
    "todo.Q011": Text("Map it as an enum with codes.", "Als Aufzählung mit Codes zuordnen."),
    "todo.Q012": Text("Add the code to `codes`.", "Code in `codes` ergänzen."),
    "todo.Q013": Text(
        "Raise `max_length`, or correct the tag.", "`max_length` erhöhen oder Signal berichtigen."
    ),
    "todo.Q014": Text(
        "Correct `bits` or the type of the register.", "`bits` oder Typ des Registers berichtigen."
    ),
    "todo.other": Text(
        "Correct it in the system it came from; the reason names the place.",
        "Im Ursprungssystem berichtigen; der Grund nennt die Stelle.",
    ),
}
