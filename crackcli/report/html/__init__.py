"""The report as a page: what a browser shows of it from a folder, without a server or a network."""
