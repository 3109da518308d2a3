"""The shells around the operations: connections, threads and event loops."""
