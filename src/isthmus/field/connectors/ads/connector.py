"""The ADS connector: values come when they change; what is not notified is asked for."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Missed, Node, Unreachable, Unsupported
from isthmus.field.connectors.ads.frames import Stamped
from isthmus.field.connectors.ads.link import AdsError
from isthmus.field.connectors.ads.session import RUN, Session, in_turns
from isthmus.field.connectors.ads.spec import AdsSource
from isthmus.field.connectors.ads.symbols import DataType, Symbol, children
from isthmus.field.connectors.ads.values import NOT_FOUND, STALE, Converted, convert, quality_of
from isthmus.field.samples import Samples
from isthmus.flow.parcel import GOOD, UNCERTAIN_LAST_USABLE

_LONGEST_WAIT: Final = 1.0
_WATCH: Final = 1.0
"""Seconds between two looks at state and symbol version, which also find a dead link; fewer where
`timeout` is less."""
_ASK_AGAIN: Final = 10.0
"""Seconds after which symbols that do not exist are looked for again."""
_AUDIT: Final = 30.0
"""Seconds after which a notified value that has not changed is compared with the controller's."""
_MOST_PENDING: Final = 100_000
"""Samples that wait for somebody to read them; what comes beyond is a gap."""


@dataclass(eq=False)
class _Followed:
    """A tag whose symbol exists."""

    tag: str
    symbol: Symbol
    handle: int
    notification: int | None = None
    """None: it is asked for, once per interval."""
    data: bytes | None = None
    """What it last was."""
    heard: bool = True
    """A notification came since the last audit."""


class AdsConnector(Connector[AdsSource]):
    """Notifications bring the controller's own time; what is asked for gets that of receipt."""

    Spec: ClassVar[type[AdsSource]] = AdsSource

    def __init__(self, name: str, spec: AdsSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._session: Session | None = None
        self._followed: dict[str, _Followed] = {}
        self._asked: list[_Followed] = []
        self._by_notification: dict[int, _Followed] = {}
        self._early: dict[int, Stamped] = {}
        """Values that came before the answer that says whose they are."""
        self._told: dict[str, Converted] = {}
        """What was last passed on, per tag."""
        self._running = True
        self._watch = min(_WATCH, spec.timeout)
        self._version: int | None = None
        self._looked = self._subscribed = self._polled = self._audited = 0.0
        self._suspects: list[_Followed] = []
        """Their values differ from the controller's: a notification comes soon, or never."""
        self._samples = Samples()
        self._arrived = asyncio.Event()
        self._missing_since: Micros | None = None
        self._missed: list[Missed] = []
        self._table: tuple[dict[str, Symbol], dict[str, DataType]] | None = None

    async def open(self) -> None:
        self._session = Session(self.name, self.spec, self.allowance)
        await self._session.open(self._on_value, self._arrived.set)
        self._running = await self._session.state() == RUN
        self._version = await self._session.symbol_version()
        await self._follow(self.tags)
        self._looked = time.monotonic()

    async def read(self) -> pa.Table | None:
        session = self._open_session()
        if self._missing_since is not None and not self._samples:
            await self._after_a_flood(self._missing_since)
        if not self._samples:
            await self._wait()
        self._arrived.clear()
        if not self._samples:
            session.check()
        await self._look_after()
        return self._samples.take()

    def missed(self) -> list[Missed]:
        missed, self._missed = self._missed, []
        return missed

    async def browse(self, parent: str = "") -> AsyncIterator[Node]:
        if self._table is None:
            try:
                self._table = await self._open_session().all_symbols()
            except AdsError as error:
                raise Unsupported(
                    f"source `{self.name}`: the controller tells no list of its symbols ({error})"
                ) from error
        for node in children(*self._table, parent):
            yield node

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            await self._give_back(session)
        except Unreachable:
            return  # nobody is there to take it
        finally:
            await session.close()

    # What is followed --------------------------------------------------------------------------

    async def _follow(self, tags: Sequence[str]) -> None:
        """Look the symbols up, and have their changes notified."""
        session = self._open_session()
        infos = await session.infos(tags)
        there = {t: i for t, i in zip(tags, infos, strict=True) if isinstance(i, Symbol)}
        for tag, info in zip(tags, infos, strict=True):
            if isinstance(info, int):
                self._tell(tag, (None, None, quality_of(info)), self.clock.now())
        found: list[_Followed] = []
        for (tag, symbol), handle in zip(
            there.items(), await session.handles(list(there)), strict=True
        ):
            if handle is None:
                self._tell(tag, (None, None, quality_of(NOT_FOUND)), self.clock.now())
                continue
            found.append(_Followed(tag, symbol, handle))
        self._followed |= {one.tag: one for one in found}
        if self.spec.notifications:
            await in_turns(map(self._have_notified, found))
        self._subscribed = time.monotonic()
        self._polled = 0.0
        self._choose_asked()

    async def _have_notified(self, one: _Followed) -> None:
        session = self._open_session()
        notification = await session.notify(one.handle, one.symbol.size, self.spec.interval)
        if notification is None:
            return
        one.notification = notification
        self._by_notification[notification] = one
        early = self._early.pop(notification, None)
        if early is not None:
            self._on_value(early)

    async def _follow_anew(self) -> None:
        """After a download no handle and no notification means anything any more."""
        session = self._open_session()
        old = list(self._by_notification)
        self._by_notification.clear()
        self._suspects.clear()
        self._early.clear()
        self._followed.clear()
        self._table = None
        await session.end_notifications(old)
        # Not the handles: by now their numbers may be those of somebody else.
        await self._follow(self.tags)

    async def _give_back(self, session: Session) -> None:
        session.check()
        await session.end_notifications(self._by_notification)
        await session.release(one.handle for one in self._followed.values())

    # Values ------------------------------------------------------------------------------------

    def _on_value(self, stamped: Stamped) -> None:
        one = self._by_notification.get(stamped.handle)
        if one is None:
            if len(self._early) < _MOST_PENDING:
                self._early[stamped.handle] = stamped
            return
        one.heard = True
        self._take(one, stamped.data, stamped.time)

    def _take(self, one: _Followed, data: bytes, device_time: Micros) -> None:
        if data == one.data:
            return
        one.data = data
        self._tell(one.tag, convert(one.symbol, data, self.spec.encoding), device_time)

    def _tell(self, tag: str, value: Converted, device_time: Micros) -> None:
        """A sample, unless it would say what the last one said."""
        number, text, quality = value
        if quality == GOOD and not self._running:
            quality = UNCERTAIN_LAST_USABLE
        told = (number, text, quality)
        if told == self._told.get(tag):
            return
        if len(self._samples) >= _MOST_PENDING:
            self._missing_since = self._missing_since or self.clock.now()
            return
        self._told[tag] = told
        self._samples.add(tag, device_time, self.clock.now(), *told)
        self._arrived.set()

    async def _after_a_flood(self, since: Micros) -> None:
        """Nobody read for long, and values were dropped: a gap, then everything as it is now."""
        self._missing_since = None
        self._missed.append(Missed(since, self.clock.now(), "more values than were taken from us"))
        for one in self._followed.values():
            one.data = None
        await self._poll(self._followed.values())

    async def _poll(self, asked: Iterable[_Followed]) -> None:
        """Ask for values by their handles, many in one request."""
        followed = list(asked)
        session = self._open_session()
        answers = await session.values([(one.handle, one.symbol.size) for one in followed])
        received = self.clock.now()
        stale = False
        for one, (error, data) in zip(followed, answers, strict=True):
            if not error:
                self._take(one, data, received)
            elif error in STALE:
                stale = True
            else:
                one.data = None
                self._tell(one.tag, (None, None, quality_of(error)), received)
        if stale:
            await self._follow_anew()

    # Time --------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Until a value comes, or something is due."""
        due = self._looked + self._watch
        if self._asked:
            due = min(due, self._polled + self.spec.interval)
        seconds = min(max(due - time.monotonic(), 0.0), _LONGEST_WAIT)
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def _look_after(self) -> None:
        now = time.monotonic()
        if now - self._looked >= self._watch:
            await self._look()
        if self._asked and now - self._polled >= self.spec.interval:
            self._polled = now
            await self._poll(self._asked)

    async def _look(self) -> None:
        """Find out whether it runs, was downloaded anew, is there at all."""
        session = self._open_session()
        self._looked = time.monotonic()
        state = await session.state()
        version = await session.symbol_version()
        if (state == RUN) != self._running:
            self._running = state == RUN
            self._tell_all_again()
        missing = len(self._followed) < len(self.tags)
        if version != self._version:
            self._version = version
            await self._follow_anew()
        elif missing and self._looked - self._subscribed >= _ASK_AGAIN:
            await self._follow([tag for tag in self.tags if tag not in self._followed])
        else:
            await self._audit()
        self._choose_silent()

    async def _audit(self) -> None:
        """A notification that ended unnoticed would leave its last value standing as good."""
        waited = self._looked - self._audited
        if self._suspects:
            if waited > self.spec.interval + self.spec.timeout:
                await self._judge()
            return
        if waited < _AUDIT:
            return
        self._audited = self._looked
        notified = self._by_notification.values()
        quiet = [one for one in notified if not one.heard and one.data is not None]
        for one in notified:
            one.heard = False
        items = [(one.handle, one.symbol.size) for one in quiet]
        answers = await self._open_session().values(items)
        pairs = zip(quiet, answers, strict=True)
        self._suspects = [one for one, (error, data) in pairs if error or data != one.data]

    async def _judge(self) -> None:
        """Time enough has passed for the notifications of what had changed."""
        lost = not all(one.heard for one in self._suspects)
        self._suspects = []
        if lost:
            await self._follow_anew()

    def _tell_all_again(self) -> None:
        """A stopped program's values are its last ones; a running one's are good again."""
        now = self.clock.now()
        for one in self._followed.values():
            if one.data is not None:
                self._tell(one.tag, convert(one.symbol, one.data, self.spec.encoding), now)

    def _choose_asked(self) -> None:
        """Tags that the controller does not notify have to be asked for."""
        self._asked = [one for one in self._followed.values() if one.notification is None]

    def _choose_silent(self) -> None:
        """A notification that never brought a value is no notification."""
        if time.monotonic() - self._subscribed <= self.spec.timeout:
            return
        silent = [one for one in self._followed.values() if one.data is None]
        self._asked += [one for one in silent if one not in self._asked]

    def _open_session(self) -> Session:
        if self._session is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        return self._session
