"""The pages. A new one is a module here, a template of its name, and one line in PAGES."""

from isthmus.web.page import Page
from isthmus.web.pages.complete import COMPLETE
from isthmus.web.pages.connect import CONNECT
from isthmus.web.pages.connect_browse import BROWSE_PAGE
from isthmus.web.pages.connect_endpoint import ENDPOINT_PAGE
from isthmus.web.pages.connect_machines import MACHINES_PAGE
from isthmus.web.pages.connect_map import MAP_PAGE
from isthmus.web.pages.live import LIVE
from isthmus.web.pages.machine import MACHINE
from isthmus.web.pages.oee import OEE
from isthmus.web.pages.overview import OVERVIEW
from isthmus.web.pages.stop import STOP

PAGES: tuple[Page, ...] = (
    OVERVIEW,
    LIVE,
    MACHINE,
    OEE,
    STOP,
    COMPLETE,
    CONNECT,
    BROWSE_PAGE,
    MAP_PAGE,
    ENDPOINT_PAGE,
    MACHINES_PAGE,
)
"""In the order of the navigation."""
