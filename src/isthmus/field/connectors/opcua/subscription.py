"""One subscription of an OPC UA session: asked for news without end, until it is lost.

The driver's own subscription makes objects and a task per value and drops values when its queue is
full; this one reads the publications from their bytes and lets the server wait when nobody reads.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from isthmus.base.clock import Clock, Micros, to_micros
from isthmus.field.connector import Missed
from isthmus.field.connectors.opcua import publications
from isthmus.field.connectors.opcua.address import EventTag, NodeTag
from isthmus.field.connectors.opcua.arrivals import Arrivals
from isthmus.field.connectors.opcua.asking import Asking
from isthmus.field.connectors.opcua.granted import Revised
from isthmus.field.connectors.opcua.monitoring import Monitoring
from isthmus.field.connectors.opcua.publications import Publication
from isthmus.field.connectors.opcua.spec import OpcuaSource
from isthmus.field.connectors.opcua.structures import Structures
from isthmus.field.samples import Samples

MAX_PENDING: Final = 200_000
"""Samples we hold unread; beyond it the server keeps the rest, in its own queues."""
KEEP_ALIVES_PER_LIFETIME: Final = 10

_LAST_SEQUENCE: Final = 0xFFFF_FFFF
_GO_ON: Final = frozenset({StatusCodes.BadTimeout, StatusCodes.BadTooManyPublishRequests})


class Subscription:
    """Fills `samples` until it is `lost`."""

    def __init__(
        self,
        client: Client,
        session: Asking,
        spec: OpcuaSource,
        samples: Samples,
        clock: Clock,
    ) -> None:
        self.lost = ""
        """Why nothing more will come; empty while all is well."""
        self.failure: Exception | None = None
        """A bug of ours that a publication brought to light."""
        self.arrivals = Arrivals(samples, Structures(session))
        self.monitoring = Monitoring(session, spec, self.arrivals, clock)
        self._client = client
        self._session = session
        self._spec = spec
        self._samples = samples
        self._clock = clock
        self._publishing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._id = 0
        self._sequence: int | None = None
        self._silence_allowed = math.inf
        self._heard = time.monotonic()
        self._heard_time = clock.now()

    async def start(self, tags: Mapping[str, NodeTag | EventTag]) -> Revised:
        """Every tag of a node comes once: with its value, or with the reason why not."""
        created, server_time = await self._create()
        interval = created.RevisedPublishingInterval / 1000
        revised = Revised(
            publishing_interval=interval,
            keep_alive=interval * created.RevisedMaxKeepAliveCount,
            lifetime=interval * created.RevisedLifetimeCount,
        )
        self._id = created.SubscriptionId
        self._silence_allowed = revised.keep_alive + self._spec.timeout
        self._client.connection_lost_callback = self._link_lost
        self._publishing = asyncio.create_task(self._publish())
        await self.monitoring.start(self._id, tags, server_time)
        if len(self._samples):
            self._news.set()
        self._heard = time.monotonic()
        return revised

    async def wait(self, seconds: float) -> None:
        """Until there are samples, the subscription is lost, or the time is up."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            silence = time.monotonic() - self._heard
            if self._room.is_set() and silence > self._silence_allowed:
                self._lose(f"the server published nothing for {silence:.1f} s")
        if not self.lost:
            self._news.clear()
            await self.monitoring.look_again()
            if self.monitoring.wants_refresh():
                await self.monitoring.refresh()

    def drained(self) -> None:
        """The samples were taken: there is room for more."""
        self._room.set()

    def missed(self) -> list[Missed]:
        missed, self.arrivals.missed = self.arrivals.missed, []
        return missed

    async def close(self) -> None:
        """Ask for nothing more; the subscription itself ends with its session."""
        if self._publishing is not None:
            self._publishing.cancel()
            with suppress(asyncio.CancelledError):
                await self._publishing

    # Asking ------------------------------------------------------------------------------------

    async def _create(self) -> tuple[ua.CreateSubscriptionResult, Micros]:
        """With the server's time. Not through the driver, which would ask for news itself."""
        interval = max(self._spec.interval, 0.001)
        keep_alives = max(1, math.ceil(self._spec.timeout / interval))
        request = ua.CreateSubscriptionRequest()
        request.Parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=interval * 1000,
            RequestedLifetimeCount=KEEP_ALIVES_PER_LIFETIME * keep_alives,
            RequestedMaxKeepAliveCount=keep_alives,
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
        )
        await self._session.turn()
        answer = await self._send(request, self._spec.timeout)
        response = struct_from_binary(ua.CreateSubscriptionResponse, answer)
        response.ResponseHeader.ServiceResult.check()
        return response.Parameters, to_micros(response.ResponseHeader.Timestamp)

    async def _send(self, request: object, seconds: float) -> Buffer:
        """The driver's link; 0 seconds wait as long as it takes."""
        protocol = self._client.uaclient.protocol
        if protocol is None:
            raise ConnectionError("the link is closed")
        return await protocol.send_request(request, seconds)

    async def _publish(self) -> None:
        """For ever: each answer acknowledges the one before, and is digested before the next."""
        done: list[ua.SubscriptionAcknowledgement] = []
        while not self.lost and self.failure is None:
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = done
            done = []
            publication = await self._answer(request)
            if publication is None:
                continue
            await self._digest(publication)
            if publication.parts:
                done.append(ua.SubscriptionAcknowledgement(self._id, publication.sequence))
            if len(self._samples) > MAX_PENDING:
                self._room.clear()
                await self._room.wait()

    async def _answer(self, request: ua.PublishRequest) -> Publication | None:
        """None if there is none: `lost` says whether it makes sense to go on."""
        try:
            answer = await self._send(request, 0)
            return publications.read(bytes(answer))
        except UaStatusCodeError as error:
            if error.code not in _GO_ON:
                name = ua.StatusCode(ua.UInt32(error.code)).name
                self._lose(f"the server ended the subscription ({name})")
        except OSError:
            self._lose(_BROKEN)
        except publications.UNREADABLE:
            pass  # its number is missing, which the next one brings to light
        except Exception as error:  # noqa: BLE001 - a bug; `read` raises it where it is seen
            self._fail(error)
        return None

    async def _digest(self, publication: Publication) -> None:
        received = self._clock.now()
        try:
            if publication.parts:
                self._check_sequence(publication.sequence, received)
            for part in publication.parts:
                if isinstance(part, ua.StatusChangeNotification):
                    self._lose(f"the server ended the subscription ({part.Status.name})")
            await self.arrivals.take(publication.parts, received)
        except OSError:
            self._lose(_BROKEN)  # while a structure was learnt
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)
        self._heard = time.monotonic()
        self._heard_time = received
        if len(self._samples):
            self._news.set()

    def _check_sequence(self, sequence: int, received: Micros) -> None:
        """Publications are numbered without holes; one we could not read leaves a hole."""
        expected, self._sequence = self._sequence, sequence % _LAST_SEQUENCE + 1
        if expected is not None and sequence != expected:
            detail = f"publication {expected} was expected, {sequence} came"
            self.arrivals.missed.append(Missed(self._heard_time, received, detail))

    async def _link_lost(self, error: Exception) -> None:
        """Called by the driver, which looks after the link every now and then."""
        del error
        self._lose(_BROKEN)

    def _lose(self, reason: str) -> None:
        self.lost = self.lost or reason
        self._news.set()

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self._news.set()


_BROKEN: Final = "the link broke, or the server no longer answers"
