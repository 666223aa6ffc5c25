"""The bag that an upload makes of files (BagIt, RFC 8493): its name and its tag files."""
