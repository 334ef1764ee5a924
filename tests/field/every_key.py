"""For every kind of source, entries that together use every key there is."""

from typing import Any

from isthmus.model.write.flow import Raw

ALL: dict[str, Any] = {
    "enabled": False, "interval": "1 s", "clock": "ours", "clock_tolerance": "5 s",
    "budget": {},
}  # fmt: skip
LIMITS = {"connections": 1, "requests_per_second": 2.5, "min_interval": "10 ms"}
USER = {"user": "u", "password": Raw("!secret box")}
TLS = {"ca": "/a", "cert": "/c", "key": "/k", "key_password": Raw("!secret box")}
BROKER = {
    "host": "broker", "port": 8883, "tls": TLS, "client_id": "us", "protocol": "5",
    "keepalive": "10 s", "timeout": "5 s", "first_value": "1 s", "max_payload_kb": 10, **USER,
}  # fmt: skip
TABLE = {
    "time": ["Datum", "Uhrzeit"], "time_format": "%d.%m.%Y %H:%M:%S", "timezone": "Europe/Berlin",
    "keys": ["cell"], "tag": "name", "value": ["number", "text"], "empty": "bad", "repeat": True,
    "timeout": "10 s",
}  # fmt: skip
HTTP = {
    "url": "https://box/v1", "headers": {"A": "1"}, "params": {"b": "2"}, "most_pages": 3,
    "since": {"parameter": "from", "path": "$.next", "format": "ms", "overlap": "5 s",
              "start": "2026-11-01T00:00:00Z"},
    "time": "$.ts", "time_format": "ms", "ca": "/ca", "timeout": "5 s", "max_answer_mb": 2,
    "budget": LIMITS,
}  # fmt: skip
PAGE = {"kind": "page", "parameter": "p", "first": 0, "step": 50, "items": "$.data[*]"}
HMAC = {
    "kind": "hmac", "secret": Raw("!secret box"), "secret_form": "hex", "header": "X-S",
    "prefix": "v1=", "form": "base64", "signed": "{timestamp}.{body}", "timestamp": "X-T",
    "timestamp_format": "ms", "tolerance": "60 s",
}  # fmt: skip
HOOK = {
    "host": "0.0.0.0", "port": 8000, "path": "/in", "id": "X-Id", "time": "$.ts",  # noqa: S104
    "time_format": "s", "partial": False, "rate": 5, "max_body_kb": 10, "stored_within": "5 s",
    "silence": "1 h", "first_value": "1 s", "timeout": "5 s",
    "tls": {"cert": "/c", "key": "/k", "key_password": Raw("!secret box")},
}  # fmt: skip

WRITTEN: dict[str, list[dict[str, Any]]] = {
    "opcua": [
        {"endpoint": "opc.tcp://a:4840", "endpoints": ["opc.tcp://b:4840"], "security": "sign",
         "policy": "Basic256Sha256", "certificate": "/c", "private_key": "/k",
         "server_certificate": ["/s", "/t"], "timeout": "5 s", "sampling": "100 ms",
         "queue_size": 5, "history": True, **USER},
        {"endpoint": "opc.tcp://a", "user_certificate": "/c", "user_private_key": "/k",
         "server_certificate": "/s"},
    ],
    "modbus": [
        {"host": "plc", "port": 502, "framing": "rtu", "unit": 7, "word_order": "little",
         "byte_order": "big", "encoding": "ascii", "timeout": "1 s", "rest": "30 s", "retries": 1,
         "max_registers": 60, "max_gap": 0, "budget": LIMITS},
    ],
    "mqtt": [
        BROKER | {"session": "clean", "session_expiry": "1 d", "qos": 0, "time": "$.ts",
                  "time_format": "ms", "partial": True},
        {"host": "broker", "tls": {}},
    ],
    "sparkplug": [BROKER | {"host_id": "us", "rebirth": True,
                            "reorder_timeout": "2 s"}],
    "mtconnect": [
        {"url": "http://agent:5000", "device": "m1", "heartbeat": "5 s", "timeout": "5 s",
         "ca": "/ca", "max_document_mb": 2, **USER},
    ],
    "shdr": [
        {"host": "adapter", "port": 7878, "device": "m1", "devices": "/d.xml", "first_value": "1 s",
         "timeout": "5 s", "max_line_kb": 10},
    ],
    "ethernetip": [
        {"host": "plc", "port": 44818, "slot": None, "timeout": "3 s", "connection_size": 500,
         "encoding": "utf-8", "budget": LIMITS},
        {"host": "plc", "path": "backplane/2/enet/10.0.5.6/backplane/0"},
    ],
    "ads": [
        {"host": "10.0.0.1", "port": 48898, "net_id": "5.81.107.190.1.1", "ams_port": 851,
         "local_net_id": "5.81.107.191.1.1", "notifications": False, "timeout": "3 s",
         "encoding": "utf-8"},
    ],
    "s7": [
        {"host": "plc", "port": 102, "rack": 0, "slot": 2, "connection": "op",
         "encoding": "latin-1", "timeout": "3 s", "pdu": 240, "max_gap": 4, "budget": LIMITS},
    ],
    "sql": [
        TABLE | {"url": Raw("!secret box"), "table": "cycles", "order": "id", "overlap": "1 h",
                 "overlap_rows": 10, "key": ["id"], "history": "1 d", "rows": 100, **USER},
        {"url": "sqlite:////data/x", "time": "at", "query": "SELECT\n  1 AS at\n"},
    ],
    "files": [
        TABLE | {"folder": "/in", "files": "*.csv", "format": "csv", "encoding": "cp1252",
                 "delimiter": "\t", "header": 2, "sheet": "S", "decimal": ",", "thousands": " ",
                 "text": ["order"], "ready": "marker", "settle": "0 s", "marker": ".ok",
                 "after": "leave", "max_mb": 5, "budget": {"min_interval": "10 s"}},
    ],
    "http": [
        HTTP | {"auth": {"kind": "basic", **USER}, "paging": PAGE, "post": {"a": {"b": [1, None]}}},
        HTTP | {"auth": {"kind": "bearer", "token": Raw("!secret box")},
                "paging": {"kind": "next", "next": "$.next"}},
        HTTP | {"auth": {"kind": "api_key", "header": "X-K", "api_key": Raw("!secret box")},
                "paging": {"kind": "link"}},
        HTTP | {"auth": {"kind": "oauth2", "token_url": "https://id/t", "client_id": "us",
                         "client_secret": Raw("!secret box"), "scope": "s", "audience": "a",
                         "send": "body"},
                "paging": {"kind": "cursor", "cursor": "$.c", "parameter": "c"}},
    ],
    "webhook": [
        HOOK | {"auth": HMAC},
        HOOK | {"auth": {"kind": "bearer", "token": Raw("!secret box")}},
    ],
}  # fmt: skip
"""Together every key of a kind, and of what is inside it."""
