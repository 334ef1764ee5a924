"""Types of a machine's maker, as o6 declares them: an enumeration and structures."""

import o6
from o6.ns import ns0

o6.ns.namespace("plant", uri="urn:peer:plant", version="1.0")


@o6.enumtype(ns="plant")
class Mode(ns0.datatypes.Enumeration):
    MANUAL = o6.enumfield(0, name="Manual")
    AUTOMATIC = o6.enumfield(1, name="Automatic")
    SETUP = o6.enumfield(4, name="Setup")


@o6.datatype(ns="plant")
class Job(ns0.datatypes.Structure):
    order: o6.String
    quantity: o6.UInt32
    started: o6.DateTime
    title: o6.LocalizedText
    limits: list[o6.Double]
    remark: o6.String | None


@o6.datatype(ns="plant")
class Plan(ns0.datatypes.Structure):
    """Its members are of types of this namespace."""

    mode: Mode
    next: Job
