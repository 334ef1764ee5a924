"""The HTTP connector: asks each endpoint once per interval and passes on what is new."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Refused
from isthmus.field.connectors.http.address import Address, parse_address
from isthmus.field.connectors.http.answers import NotModifiedError, NotThereError, TooManyError
from isthmus.field.connectors.http.memory import Memory, pack, unpack
from isthmus.field.connectors.http.pages import PagingError, first, following, write_time
from isthmus.field.connectors.http.spec import Basic, HttpSource
from isthmus.field.json_path import json_path
from isthmus.field.json_samples import Reading, row_reading, rows_of
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_DECODING, BAD_WAITING_FOR_INITIAL_DATA, Value, add_value
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD
from isthmus.model.spec.site import SourceSpec

if TYPE_CHECKING:
    from isthmus.field.connectors.http.client import Client
    from isthmus.field.connectors.http.pages import Answer, Ask

BAD_RESOURCE_UNAVAILABLE: Final = 0x8004_0000
_MOST_SAMPLES: Final = 10_000
"""Of one `read()`; the pages after them come with the next."""
_LONGEST_READ: Final = 20.0
"""Seconds after which no further page is asked for in the same `read()`."""


_Said = tuple[Value, int, Micros]
"""Value, quality, own time (0 without one)."""


@dataclass
class _Endpoint:
    """One path below the source's url, and how far we are in its pages."""

    path: str
    memory: Memory
    resumed: bool
    states: list[tuple[str, Address]] = field(default_factory=list)
    """Tags with one present value."""
    series: list[tuple[str, Address]] = field(default_factory=list)
    """Tags with many values, each with its own time."""
    waiting: set[str] = field(default_factory=set)
    """Of `series`: never seen, and not yet said so."""
    ask: "Ask | None" = None
    """The page to go on with."""


class HttpConnector(Connector[HttpSource]):
    """Polls the endpoints of one interface, one request at a time."""

    Spec: ClassVar[type[SourceSpec]] = HttpSource
    polled: ClassVar[bool] = True
    told_at_once: ClassVar[bool] = False

    def __init__(self, name: str, spec: HttpSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._of = f"{spec.url} {spec.since.parameter if spec.since else ''}"
        self._client: Client | None = None
        self._kept: dict[str, Memory] = {}
        self._endpoints: dict[str, _Endpoint] = {}
        self._last: dict[str, _Said] = {}
        """Of states: what was passed on last."""
        self._found: list[tuple[Reading, Micros]] = []
        self._quiet_until = 0.0

    def resume(self, position: bytes) -> None:
        self._kept = unpack(self._of, position)

    async def open(self) -> None:
        from isthmus.field.connectors.http.client import Client

        self._endpoints = {}
        for tag in self.tags:
            self._place(tag, self._with_defaults(parse_address(tag)))
        self._client = Client(self.spec, self.clock, self.allowance)

    async def read(self) -> pa.Table | None:
        if self._client is None:
            raise RuntimeError("read before open, or after close")
        if _now() < self._quiet_until:
            return None
        try:
            await self._poll(self._client)
        except TooManyError as busy:
            self._be_quiet(busy.seconds)
        return self._take()

    def position(self) -> bytes | None:
        series = {name: one.memory for name, one in self._endpoints.items() if one.series}
        return pack(self._of, series) if series else None

    def attention(self) -> list[str]:
        url = self.spec.url
        local = url.startswith(("http://127.", "http://localhost", "http://[::1]"))
        if self.spec.auth is None or url.startswith("https:") or local:
            return []
        what = "The password" if isinstance(self.spec.auth, Basic) else "The key or token"
        return [f"{what} goes to {url} in the clear: use `https`."]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # Tags --------------------------------------------------------------------------------------

    def _with_defaults(self, address: Address) -> Address:
        default = json_path(self.spec.time) if self.spec.time is not None else None
        return replace(
            address,
            time=address.time or default,
            time_format=address.time_format or self.spec.time_format,
        )

    def _place(self, tag: str, address: Address) -> None:
        endpoint = self._endpoints.get(address.endpoint)
        if endpoint is None:
            kept = self._kept.get(address.endpoint)
            endpoint = _Endpoint(address.endpoint, kept or Memory(), kept is not None)
            self._endpoints[address.endpoint] = endpoint
        if address.rows is None:
            endpoint.states.append((tag, address))
            return
        if address.time is None:
            raise Refused(
                f"source `{self.name}`: `{tag}` selects many rows and needs the time of each: "
                "add `;time=$.ts`, or `time` to the source"
            )
        endpoint.series.append((tag, address))
        if not endpoint.resumed:
            endpoint.waiting.add(tag)

    # Polling -----------------------------------------------------------------------------------

    async def _poll(self, client: "Client") -> None:
        began, absent = _now(), 0
        for endpoint in self._endpoints.values():
            try:
                await self._walk(client, endpoint, began)
            except NotModifiedError:
                endpoint.ask = None
            except NotThereError as error:
                absent += 1
                if absent == len(self._endpoints):
                    raise Refused(str(error)) from error
                self._all_bad(endpoint, error.quality)
            if self._is_enough(began):
                return

    async def _walk(self, client: "Client", endpoint: _Endpoint, began: float) -> None:
        """Page after page, from where we were; the rest comes with the next `read()`."""
        ask = endpoint.ask or first(self.spec, endpoint.path, self._since(endpoint))
        while True:
            endpoint.ask = ask
            answer = await client.ask(ask)
            self._read_page(endpoint, ask, answer)
            after = self._after(ask, answer)
            if after is None:
                break
            ask = endpoint.ask = after
            if self._is_enough(began):
                return
        endpoint.ask = None
        self._complete(endpoint, answer)

    def _after(self, ask: "Ask", answer: "Answer") -> "Ask | None":
        try:
            after = following(self.spec, ask, answer)
        except PagingError as error:
            raise Refused(f"source `{self.name}`: {error}; see `paging`") from error
        if after is None:
            return None
        if after.number >= self.spec.most_pages:
            most = self.spec.most_pages
            raise Refused(f"source `{self.name}`: more than {most} pages; see `most_pages`")
        if (after.url, after.body) == (ask.url, ask.body):
            raise Refused(f"source `{self.name}`: a page leads to itself; see `paging`")
        return after

    def _since(self, endpoint: _Endpoint) -> str | None:
        since = self.spec.since
        if since is None:
            return None
        if since.path is not None:
            return endpoint.memory.since or since.start
        if endpoint.memory.latest is None:
            return since.start
        # A row from the future must not hide those that come after it.
        latest = min(endpoint.memory.latest, self.clock.now())
        return write_time(latest - round(since.overlap * 1_000_000), since.format)

    def _is_enough(self, began: float) -> bool:
        return len(self._found) >= _MOST_SAMPLES or _now() - began >= _LONGEST_READ

    def _be_quiet(self, seconds: float) -> None:
        """We were asked to come again later. What is true until then we do not know."""
        self._quiet_until = _now() + seconds
        if seconds <= self.spec.timeout:
            return
        for endpoint in self._endpoints.values():
            for tag, _ in endpoint.states:
                self._pass_on(_bad(tag, self.clock.now(), BAD_RESOURCE_UNAVAILABLE))
        self._ask_afresh()

    def _ask_afresh(self) -> None:
        """After a bad value "nothing has changed" would leave it bad."""
        if self._client is not None:
            self._client.forget()

    # Answers -----------------------------------------------------------------------------------

    def _read_page(self, endpoint: _Endpoint, ask: "Ask", answer: "Answer") -> None:
        received = self.clock.now()
        if ask.number == 0:
            for tag, address in endpoint.states:
                reading = _state(tag, address, answer.document, received)
                timed = address.time is not None and reading.quality == GOOD
                self._pass_on(reading, reading.device_time if timed else 0)
        for tag, address in endpoint.series:
            for row in _rows(address, answer.document):
                # A row without this value says nothing of it: rows may be of several kinds.
                found = row_reading(tag, address, row, answer.document, received)
                if found is not None:
                    self._pass_on_row(endpoint, row, found, received)

    def _complete(self, endpoint: _Endpoint, answer: "Answer") -> None:
        since = self.spec.since
        told: list[Any] = []
        if since is not None and since.path is not None:
            told = json_path(since.path).find(answer.document)
        match told:
            case [str() | int() | float() as word]:
                endpoint.memory.complete(str(word))
            case _:
                endpoint.memory.complete(None)
        now = self.clock.now()
        for tag in sorted(endpoint.waiting):
            self._found.append((_bad(tag, now, BAD_WAITING_FOR_INITIAL_DATA), now))
        endpoint.waiting.clear()

    def _all_bad(self, endpoint: _Endpoint, quality: int) -> None:
        endpoint.ask = None
        endpoint.waiting.clear()
        for tag, _ in [*endpoint.states, *endpoint.series]:
            self._pass_on(_bad(tag, self.clock.now(), quality))
        self._ask_afresh()

    def _pass_on(self, reading: Reading, own_time: Micros = 0) -> None:
        """A state, if it is not what we passed on last."""
        said = (reading.value, reading.quality, own_time)
        if self._last.get(reading.tag) != said:
            self._last[reading.tag] = said
            self._found.append((reading, self.clock.now()))

    def _pass_on_row(
        self, endpoint: _Endpoint, row: Any, reading: Reading, received: Micros
    ) -> None:
        self._last.pop(reading.tag, None)  # its endpoint is there again
        endpoint.waiting.discard(reading.tag)
        if endpoint.memory.is_new(reading, row):
            self._found.append((reading, received))

    def _take(self) -> pa.Table | None:
        """By own time: interfaces often give the newest first."""
        samples = Samples()
        for (tag, value, at, quality), received in sorted(self._found, key=_own_time):
            add_value(samples, tag, value, at, received, quality)
        self._found.clear()
        return samples.take()


def _rows(address: Address, document: Any) -> list[Any]:
    try:
        return rows_of(address, document)
    except RecursionError:  # the path library, on a document that is nested too deep
        return []


def _state(tag: str, address: Address, document: Any, received: Micros) -> Reading:
    try:
        found = row_reading(tag, address, document, document, received)
    except RecursionError:
        return _bad(tag, received, BAD_DECODING)
    return found or _bad(tag, received, BAD_NODE_UNKNOWN)


def _bad(tag: str, at: Micros, quality: int) -> Reading:
    return Reading(tag, None, at, quality)


def _own_time(found: tuple[Reading, Micros]) -> Micros:
    return found[0].device_time


def _now() -> float:
    return asyncio.get_running_loop().time()
