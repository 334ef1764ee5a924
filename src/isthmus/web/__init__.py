"""HTTP: pages, live hub, sign-in. A new page is a file in `pages/`, a template, a line there."""
