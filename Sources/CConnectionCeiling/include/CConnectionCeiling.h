#ifndef C_CONNECTION_CEILING_H
#define C_CONNECTION_CEILING_H

// From now on a new connection whose descriptor has this number or a greater one is closed at once; `remote` counts for those that do not
// come over a unix socket.
void stem_set_connection_ceiling(int descriptors, int remote);

// How many connections were closed for that reason.
long stem_connections_refused(void);

#endif
