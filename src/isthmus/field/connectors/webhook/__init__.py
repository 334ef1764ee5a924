"""Webhook: listens for what others post, and says yes only when it is on our disk."""

from isthmus.field.connectors.webhook.connector import WebhookConnector
from isthmus.field.connectors.webhook.spec import WebhookSource

__all__ = ["WebhookConnector", "WebhookSource"]
