#ifndef C_CONNECTION_CEILING_H
#define C_CONNECTION_CEILING_H

// From now on a new connection whose descriptor has this number or a greater one is closed at once.
void stem_set_connection_ceiling(int descriptors);

// How many connections were closed for that reason.
long stem_connections_refused(void);

#endif
