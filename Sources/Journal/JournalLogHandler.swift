// The journal's log handler.
