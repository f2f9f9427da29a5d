"""What did the owner set? config.toml and the environment, checked at the door into one frozen Settings."""

from engine.config.loading import File, Settings, load_settings, new_key, shipped
from engine.config.sections import (
    Bounces,
    Brake,
    ClockSettings,
    Database,
    Destination,
    Dkim,
    Limits,
    Paths,
    Secret,
    Sender,
    Shop,
    Tracking,
    TransportSettings,
    Web,
)

__all__ = [
    "Bounces",
    "Brake",
    "ClockSettings",
    "Database",
    "Destination",
    "Dkim",
    "File",
    "Limits",
    "Paths",
    "Secret",
    "Sender",
    "Settings",
    "Shop",
    "Tracking",
    "TransportSettings",
    "Web",
    "load_settings",
    "new_key",
    "shipped",
]
