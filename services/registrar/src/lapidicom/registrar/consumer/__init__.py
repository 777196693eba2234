"""The rules by which a delivery ends: by ack only, after registration or a confirmed onward publish."""
