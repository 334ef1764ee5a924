"""What MQTT and Sparkplug have in common: how to reach a broker, and the link to it."""
