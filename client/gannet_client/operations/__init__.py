"""What a client does, as operations without I/O: what is asked, cut, sent again, read and drawn."""
