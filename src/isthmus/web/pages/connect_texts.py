"""What the Connect pages say."""

from isthmus.web.i18n import Text

LIST = {
    "connect.title": Text("Connect", "Anbinden"),
    "connect.sources": Text("Sources", "Quellen"),
    "connect.sources.note": Text(
        "rates of this and the last hour", "Raten dieser und der letzten Stunde"
    ),
    "connect.source": Text("Source", "Quelle"),
    "connect.address": Text("Address", "Adresse"),
    "connect.state": Text("State", "Zustand"),
    "connect.rate": Text("Values/s", "Werte/s"),
    "connect.last": Text("Last value", "Letzter Wert"),
    "connect.machines": Text("Machines", "Maschinen"),
    "connect.tags": Text("Tags", "Signale"),
    "connect.state.connected": Text("connected", "verbunden"),
    "connect.state.lost": Text("not connected", "nicht verbunden"),
    "connect.state.off": Text("switched off", "ausgeschaltet"),
    "connect.state.untried": Text("not tried yet", "noch nicht versucht"),
    "connect.browse": Text("Browse", "Durchsuchen"),
    "connect.map": Text("Map", "Zuordnen"),
    "connect.map.of": Text("Map the fields of {machine}", "Felder von {machine} zuordnen"),
    "connect.browse.of": Text("Browse {source}", "{source} durchsuchen"),
    "connect.none": Text("No source yet", "Noch keine Quelle"),
    "connect.none.text": Text(
        "No machine of this place has a source. Add one: it is tried before it is written.",
        "Keine Maschine dieses Ortes hat eine Quelle. Eine neue wird erprobt, bevor etwas"
        " geschrieben wird.",
    ),
    "connect.add": Text("Add a source", "Quelle hinzufügen"),
    "connect.test": Text("Endpoint", "Endpunkt"),
    "connect.test.of": Text("Endpoint of {source}", "Endpunkt von {source}"),
    "connect.map.add": Text("add a machine", "Maschine hinzufügen"),
    "connect.state.draft": Text("draft, not in the model", "Entwurf, nicht im Modell"),
    "permission.needs": Text(
        "This page needs the role {needed}; yours is {yours}. An administrator can change it.",
        "Diese Seite braucht die Rolle {needed}, Ihre ist {yours}. Ein Administrator ändert das.",
    ),
}

LISTED = {
    "listed.title": Text("Tags from a table", "Signale aus einer Tabelle"),
    "listed.text": Text(
        "For a source that cannot be browsed: a register list, or an export of the controller."
        " Columns: tag, name, type, unit, comment; the first is needed. It takes the place of what"
        " was browsed.",
        "Für eine Quelle, die nicht durchsuchbar ist: eine Registerliste oder ein Export der"
        " Steuerung. Spalten: Adresse, Name, Datentyp, Einheit, Kommentar; die erste ist nötig. Sie"
        " tritt an die Stelle dessen, was durchsucht wurde.",
    ),
    "listed.table": Text(
        "The table: paste it from Excel, or CSV", "Die Tabelle: aus Excel einfügen, oder CSV"
    ),
    "listed.file": Text("or a CSV file", "oder eine CSV-Datei"),
    "listed.take": Text("Take these tags", "Diese Signale nehmen"),
    "listed.taken": Text("{n} tags were taken.", "{n} Signale wurden übernommen."),
    "listed.taken.one": Text("1 tag was taken.", "1 Signal wurde übernommen."),
    "listed.refused": Text("No tag was taken", "Kein Signal wurde übernommen"),
}

BROWSE = {
    "browse.title": Text("Browse", "Durchsuchen"),
    "browse.space": Text("Address space", "Adressraum"),
    "browse.live": Text("Live values", "Live-Werte"),
    "browse.live.note": Text("read only, last 60 s", "nur gelesen, letzte 60 s"),
    "browse.search": Text("Search names, paths, comments", "Namen, Pfade, Kommentare suchen"),
    "browse.again": Text("Ask the device anew", "Gerät neu fragen"),
    "browse.all": Text("Whole source", "Ganze Quelle"),
    "browse.remove": Text("Remove {name}", "{name} entfernen"),
    "browse.help": Text(
        "Arrow keys move, Space chooses, → opens a folder, ← leaves it, / searches.",
        "Pfeiltasten bewegen, Leertaste wählt, → öffnet einen Ordner, ← verlässt ihn, / sucht.",
    ),
    "browse.count": Text("{total} of {nodes} entries", "{total} von {nodes} Einträgen"),
    "browse.running": Text(
        "Looking around: {nodes} entries, {waiting} folders to open",
        "Adressraum wird gelesen: {nodes} Einträge, {waiting} Ordner offen",
    ),
    "browse.connecting": Text("Connecting to the source …", "Verbinde mit der Quelle …"),
    "browse.found": Text("as found {at}", "Stand {at}"),
    "browse.refused_folders": Text(
        "{n} folders are not shown by the device", "{n} Ordner zeigt das Gerät nicht"
    ),
    "browse.nothing": Text("Nothing matches.", "Nichts passt."),
    "browse.empty": Text("This source shows no entries.", "Diese Quelle zeigt keine Einträge."),
    "browse.unreachable": Text("The source does not answer", "Die Quelle antwortet nicht"),
    "browse.refused": Text("The source refuses", "Die Quelle lehnt ab"),
    "browse.fault": Text("A fault of Isthmus", "Ein Fehler von Isthmus"),
    "browse.unsupported": Text(
        "This kind of source cannot be browsed", "Diese Art von Quelle ist nicht durchsuchbar"
    ),
    "browse.unsupported.text": Text(
        "Give its tags as a table, below.",
        "Geben Sie ihre Signale als Tabelle an, unten.",
    ),
    "browse.offline": Text("The platform does not answer", "Die Plattform antwortet nicht"),
    "browse.choose": Text(
        "Choose up to {most} entries to see their values.",
        "Bis zu {most} Einträge wählen, um ihre Werte zu sehen.",
    ),
    "browse.most": Text(
        "{most} at most: remove one first.", "Höchstens {most}: zuerst einen entfernen."
    ),
    "browse.waiting": Text("waiting for a value", "wartet auf einen Wert"),
    "browse.opening": Text("opening a session …", "Sitzung wird geöffnet …"),
    "browse.rate": Text("{rate}/s", "{rate}/s"),
    "browse.ago": Text("{age} ago", "vor {age}"),
    "browse.spark": Text(
        "Last 60 seconds: {low} to {high}", "Letzte 60 Sekunden: {low} bis {high}"
    ),
    "browse.quality.good": Text("good", "gut"),
    "browse.quality.uncertain": Text("uncertain", "unsicher"),
    "browse.quality.bad": Text("bad", "schlecht"),
    "browse.unknown": Text(
        "There is no source of this name. Choose one on the page Connect.",
        "Es gibt keine Quelle dieses Namens. Wählen Sie eine auf der Seite Anbinden.",
    ),
}

MAP = {
    "map.title": Text("Map", "Zuordnen"),
    "map.machine": Text("Machine", "Maschine"),
    "map.which": Text("Which machine?", "Welche Maschine?"),
    "map.reads": Text("reads from {source}", "liest aus {source}"),
    "map.type": Text("Machine type", "Maschinentyp"),
    "map.blocks": Text("Blocks", "Datenblöcke"),
    "map.blocks.type": Text("those of the type", "die des Typs"),
    "map.under": Text(
        "Folder of this machine in the source", "Ordner dieser Maschine in der Quelle"
    ),
    "map.update": Text("Propose", "Vorschlagen"),
    "map.add": Text(
        "Add a machine that reads from {source}", "Maschine hinzufügen, die aus {source} liest"
    ),
    "map.line": Text("Line", "Linie"),
    "map.name": Text("Short name, such as im-07", "Kurzname, z. B. im-07"),
    "map.type.new": Text("a new type", "ein neuer Typ"),
    "map.type.name": Text("Name of the new type", "Name des neuen Typs"),
    "map.param": Text("Parameter {name}", "Parameter {name}"),
    "map.next": Text("Next", "Weiter"),
    "map.proposals": Text("Proposals", "Vorschläge"),
    "map.proposals.note": Text(
        "Nothing is written before you apply it.", "Geschrieben wird erst, wenn Sie es anwenden."
    ),
    "map.watch": Text("Watch values for {n} s", "Werte {n} s beobachten"),
    "map.watched": Text(
        "Watched {n} tags: their behaviour counts now.",
        "{n} Signale beobachtet: Ihr Verhalten zählt jetzt mit.",
    ),
    "map.watched.one": Text(
        "Watched 1 tag: its behaviour counts now.",
        "1 Signal beobachtet: Sein Verhalten zählt jetzt mit.",
    ),
    "map.none": Text("No tag", "Kein Signal"),
    "map.other": Text("Another tag", "Anderes Signal"),
    "map.more": Text("{n} alternatives", "{n} Alternativen"),
    "map.more.one": Text("1 alternative", "1 Alternative"),
    "map.rest": Text("{n} fields for which nothing fits", "{n} Felder, für die nichts passt"),
    "map.rest.one": Text("1 field for which nothing fits", "1 Feld, für das nichts passt"),
    "map.codes": Text("Codes of the machine", "Codes der Maschine"),
    "map.codes.hint": Text(
        "such as 3: {first}, with a comma between; names: {names}",
        "z. B. 3: {first}, mit Komma dazwischen; Namen: {names}",
    ),
    "map.codes.wrong": Text(
        "`{text}` is no code with its name: write 3: execute, 0: stopped",
        "`{text}` ist kein Code mit Namen: 3: execute, 0: stopped",
    ),
    "map.score": Text("score {score}", "Bewertung {score}"),
    "map.done_already": Text("Mapped already", "Schon zugeordnet"),
    "map.derived": Text("follows from a rule", "folgt aus einer Regel"),
    "map.nothing_open": Text(
        "Every field of these blocks has a tag.", "Jedes Feld dieser Blöcke hat ein Signal."
    ),
    "map.show": Text("Show the change", "Änderung zeigen"),
    "map.change": Text("The change", "Die Änderung"),
    "map.diff": Text("Difference in the model", "Unterschied im Modell"),
    "map.check.ok": Text(
        "Checked: isthmus check finds nothing new.", "Geprüft: isthmus check findet nichts Neues."
    ),
    "map.check.problems": Text("It would be wrong:", "Das wäre falsch:"),
    "map.plan": Text("On the running platform", "Auf der laufenden Plattform"),
    "map.interrupts": Text("interrupts {sources} for a moment", "unterbricht {sources} kurz"),
    "map.apply": Text("Write and apply", "Schreiben und anwenden"),
    "map.refused": Text("Nothing was changed", "Nichts wurde geändert"),
    "map.need_codes": Text(
        "{field} has names: without codes its values go to quarantine.",
        "{field} hat Namen: Ohne Codes kommen seine Werte in Quarantäne.",
    ),
    "map.applied": Text("Written and applied.", "Geschrieben und angewendet."),
    "map.applied.text": Text(
        "The platform reads the new mapping now; the machine's page shows the values.",
        "Die Plattform liest jetzt danach; die Werte stehen auf der Seite der Maschine.",
    ),
    "map.never": Text(
        "Nobody has looked around in this source yet",
        "In dieser Quelle hat sich noch niemand umgesehen",
    ),
    "map.never.text": Text(
        "Browse it first, or give its tags as a table there: proposals come from what is found.",
        "Zuerst durchsuchen oder dort ihre Signale als Tabelle angeben: Vorschläge kommen aus dem,"
        " was gefunden wird.",
    ),
    "map.unknown": Text(
        "Choose a machine, or a source on the page Connect.",
        "Wählen Sie eine Maschine, oder eine Quelle auf der Seite Anbinden.",
    ),
}

ENDPOINT = {
    "endpoint.title": Text("Endpoint", "Endpunkt"),
    "endpoint.kind": Text("Kind of source", "Art der Quelle"),
    "endpoint.choose": Text("Which protocol does it speak?", "Welches Protokoll spricht sie?"),
    "endpoint.what": Text("What it reaches", "Was sie erreicht"),
    "endpoint.note": Text(
        "a draft until a machine reads it", "ein Entwurf, bis eine Maschine sie liest"
    ),
    "endpoint.name": Text("Short name, such as im-07", "Kurzname, z. B. im-07"),
    "endpoint.more": Text("More settings ({n})", "Weitere Einstellungen ({n})"),
    "endpoint.secret": Text(
        "Write ${NAME} for an environment variable of the platform, or !secret NAME for a line of"
        " secrets.yaml; the secret itself is kept there and never shown.",
        "${NAME} für eine Umgebungsvariable der Plattform schreiben oder !secret NAME für eine"
        " Zeile in secrets.yaml; dort steht das Geheimnis selbst, gezeigt wird es nie.",
    ),
    "endpoint.write.lines": Text(
        "One per line. In quotes where blanks matter.",
        "Eines je Zeile. In Anführungszeichen, wo Leerzeichen zählen.",
    ),
    "endpoint.write.pairs": Text("One per line, name: text.", "Eines je Zeile, Name: Text."),
    "endpoint.write.yaml": Text("As YAML.", "Als YAML."),
    "endpoint.write.long": Text("May have several lines.", "Darf mehrere Zeilen haben."),
    "endpoint.no_kind": Text("none", "ohne"),
    "endpoint.look": Text(
        "Look at the marked settings below.", "Sehen Sie sich die markierten Einstellungen an."
    ),
    "endpoint.wrong.pair": Text("`{part}` is no name: text", "`{part}` ist nicht Name: Text"),
    "endpoint.wrong.twice": Text("`{part}` is there twice", "`{part}` steht zweimal da"),
    "endpoint.wrong.yaml": Text("This is no YAML: {part}", "Das ist kein YAML: {part}"),
    "endpoint.wrong.quotes": Text(
        "`{part}`: a text that begins with quotes ends with them",
        "`{part}`: Ein Text, der mit Anführungszeichen beginnt, endet damit",
    ),
    "endpoint.keep": Text("Save the draft", "Entwurf speichern"),
    "endpoint.discard": Text("Discard the draft", "Entwurf verwerfen"),
    "endpoint.refused": Text("That cannot be saved", "Das lässt sich nicht speichern"),
    "endpoint.next": Text(
        "Next: browse it, then map a machine.", "Danach: durchsuchen und eine Maschine zuordnen."
    ),
    "endpoint.security": Text("Security", "Sicherheit"),
    "endpoint.ask": Text("Ask the server what it offers", "Server nach seinen Angeboten fragen"),
    "endpoint.offers": Text("The server offers", "Der Server bietet"),
    "endpoint.use": Text("Use", "Verwenden"),
    "endpoint.used": Text("used", "verwendet"),
    "endpoint.none": Text("no encryption", "keine Verschlüsselung"),
    "endpoint.sign": Text("signed", "signiert"),
    "endpoint.sign_and_encrypt": Text("signed and encrypted", "signiert und verschlüsselt"),
    "endpoint.certificate": Text("The server's certificate", "Zertifikat des Servers"),
    "endpoint.subject": Text("Subject", "Inhaber"),
    "endpoint.fingerprint": Text("Fingerprint", "Fingerabdruck"),
    "endpoint.until": Text("Valid until", "Gültig bis"),
    "endpoint.trusted": Text("trusted", "vertraut"),
    "endpoint.untrusted": Text(
        "Compare the fingerprint with the one the machine itself shows, then trust it.",
        "Den Fingerabdruck mit dem vergleichen, den die Maschine selbst zeigt, dann vertrauen.",
    ),
    "endpoint.trust": Text("It is the same: trust it", "Er ist gleich: vertrauen"),
    "endpoint.ours": Text(
        "Our certificate, which the server must trust",
        "Unser Zertifikat, dem der Server vertrauen muss",
    ),
    "endpoint.ours.none": Text(
        "Isthmus has no certificate of its own yet: signed connections need one.",
        "Isthmus hat noch kein eigenes Zertifikat: Signierte Verbindungen brauchen eines.",
    ),
    "endpoint.ours.make": Text("Make our certificate", "Unser Zertifikat erzeugen"),
    "endpoint.trial": Text("Test", "Test"),
    "endpoint.begin": Text("Test for {n} s", "{n} s testen"),
    "endpoint.running": Text(
        "Listening: {elapsed} of {n} s", "Es wird zugehört: {elapsed} von {n} s"
    ),
    "endpoint.trial.none": Text(
        "The test opens the source, listens, and leaves nothing behind. It writes nothing.",
        "Der Test öffnet die Quelle, hört zu und hinterlässt nichts. Er schreibt nichts.",
    ),
    "endpoint.gone": Text(
        "There is no source {name} any more: somebody discarded its draft or removed it.",
        "Die Quelle {name} gibt es nicht mehr: "
        "Jemand hat ihren Entwurf verworfen oder sie entfernt.",
    ),
    "endpoint.fails": Text("It does not work.", "Es funktioniert nicht."),
    "endpoint.answers": Text(
        "It answers. No tag is known yet: browse it, then test again.",
        "Sie antwortet. Noch ist kein Signal bekannt: durchsuchen, dann erneut testen.",
    ),
    "endpoint.works": Text(
        "It works: {heard} of {asked} tags came in {seconds} s, all with good quality.",
        "Es geht: {heard} von {asked} Signalen kamen in {seconds} s, alle mit guter Qualität.",
    ),
    "endpoint.doubtful": Text(
        "It answers, but look closer: {heard} of {asked} tags came in {seconds} s,"
        " {bad} of them not good.",
        "Sie antwortet, aber genauer hinsehen: {heard} von {asked} Signalen kamen in {seconds} s,"
        " davon {bad} nicht gut.",
    ),
    "endpoint.tag": Text("Tag", "Signal"),
    "endpoint.value": Text("Value", "Wert"),
    "endpoint.quality": Text("Quality", "Qualität"),
    "endpoint.rate": Text("Per s", "Je s"),
}
