"""HTTP: pages, live hub, sign-in; a new page is one file in `pages/`, one template, one line there."""
