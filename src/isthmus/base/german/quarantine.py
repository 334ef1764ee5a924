"""Why a sample cannot become a row."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SENTENCES: Final[Mapping[str, str]] = MappingProxyType({
    "what came could not be read: <value>": "was kam, ließ sich nicht lesen: <value>",
    "device time <moment#>: this device's clock was never set": "Gerätezeit <moment>: die Uhr dieses Geräts wurde nie gestellt",
    "device time <moment#> is <minutes#> min ahead of our clock": "die Gerätezeit <moment> geht unserer Uhr um <minutes> min vor",
    "the quality is good, but no value came": "die Qualität ist gut, aber es kam kein Wert",
    "`<name>` is of type <type#>, but `<value>` came": "`<name>` ist vom Typ <type>, aber es kam `<value>`",
    "`<name>` came as <value#>, which no machine can measure": "`<name>` kam als <value>, das kann keine Maschine messen",
    "`<name>` is of type <type#>, but <value> is not whole": "`<name>` ist vom Typ <type>, aber <value!> ist nicht ganzzahlig",
    "<value> does not fit into 64 bits": "<value!> passt nicht in 64 Bits",
    "<value> is below the limit <limit#> of `<name>`": "<value!> liegt unter der Grenze <limit> von `<name>`",
    "<value> is above the limit <limit#> of `<name>`": "<value!> liegt über der Grenze <limit> von `<name>`",
    "<value#> (after × <scale#> + <offset#>)": "<value> (nach × <scale> + <offset>)",
    "`<value>` is no code of `<name>`; known: <codes>": "`<value>` ist kein Code von `<name>`; bekannt: <codes>",
    "the text is longer than the <most#> characters of `<name>`": "der Text ist länger als die <most> Zeichen von `<name>`",
    "<value#> cannot be the reading of a counter": "<value> kann nicht der Stand eines Zählers sein",
    "<value#> cannot be the reading of a counter of <bits#> bits": "<value> kann nicht der Stand eines Zählers von <bits> Bits sein",
    "at <value#> `<name>` grew by more than <most#> in one step": "bei <value> wuchs `<name>` um mehr als <most> in einem Schritt",
})  # fmt: skip
