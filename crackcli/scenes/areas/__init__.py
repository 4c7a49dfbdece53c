"""Areas that a scan leaves out or looks at only: read from files, placed on photographs."""
