"""MQTT: subscribes to the topics of its tags and acknowledges what is on our disk."""

from isthmus.field.connectors.mqtt.connector import MqttConnector
from isthmus.field.connectors.mqtt.spec import MqttSource

__all__ = ["MqttConnector", "MqttSource"]
