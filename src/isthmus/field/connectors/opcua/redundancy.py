"""Servers of one redundant set: the first healthy one is read, else the best there is.

Non-transparent redundancy (Part 4, 6.6.2): each server says by its ServiceLevel how well it can
serve; 200 and more is healthy.
"""

from typing import Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.opcua.session import Session, connect, disconnect, named_errors
from isthmus.field.connectors.opcua.spec import OpcuaSource

HEALTHY: Final = 200
DEGRADED: Final = 2
_NOT_SAID: Final = 255


async def connect_to_best(name: str, spec: OpcuaSource) -> Session:
    """One is left before the next is asked; where none can be reached, what each of them said."""
    endpoints = (spec.endpoint, *spec.endpoints)
    levels: dict[str, int] = {}
    failures: list[Exception] = []
    for endpoint in endpoints:
        try:
            session = await connect(name, spec, endpoint)
            level = await _level_or_leave(name, session)
        except (Unreachable, Refused) as error:
            failures.append(error)
            continue
        is_best = endpoint == endpoints[-1] and level > max(levels.values(), default=-1)
        if level >= HEALTHY or is_best:
            return session
        await disconnect(session.client, lost=False)
        levels[endpoint] = level
    if not levels:
        raise _all(failures)
    return await connect(name, spec, max(levels, key=levels.__getitem__))


async def service_level(client: Client) -> int:
    """255 of a server that does not say."""
    node = ua.NodeId(ua.Int32(ObjectIds.Server_ServiceLevel))
    (answer,) = await client.uaclient.session.read_attributes([node], AttributeIds.Value)
    level = answer.Value.Value if answer.Value is not None else None
    return int(level) if level is not None else _NOT_SAID


def category(level: int) -> int:
    """Maintenance, no data, degraded, healthy: 0 to 3."""
    return (level >= 1) + (level >= DEGRADED) + (level >= HEALTHY)


async def _level_or_leave(name: str, session: Session) -> int:
    try:
        with named_errors(name, session.endpoint):
            return await service_level(session.client)
    except BaseException:
        await disconnect(session.client, lost=True)
        raise


def _all(failures: list[Exception]) -> Exception:
    if len(failures) == 1:
        return failures[0]
    kind = Unreachable if any(isinstance(one, Unreachable) for one in failures) else Refused
    return kind(" ".join(f"{str(one).rstrip('.')}." for one in failures))
