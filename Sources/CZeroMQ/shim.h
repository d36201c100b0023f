#include <zmq.h>

// In libzmq since 4.3.0, but in its header only for those who ask for drafts: without a ZAP handler nobody is let in.
static const int stem_ZMQ_ZAP_ENFORCE_DOMAIN = 93;
