#include "CConnectionCeiling.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

// libzmq aborts the process when accept(2) on an ipc socket fails for want of a descriptor, and has no option that limits its
// connections. What a program defines under the name of a C library's function takes that function's place for the shared libraries,
// too: so libzmq accepts through the functions below. The system gives the lowest free number to a descriptor, so a number at the
// ceiling means that as many are open, and what is above the ceiling stays free for the program's own files.
//
// <sys/socket.h> is not included, since it declares accept with a type that only the C library uses.

long syscall(long number, ...);

static atomic_int ceiling = INT_MAX;
static atomic_int remote_ceiling = INT_MAX;
static atomic_long refused;

void stem_set_connection_ceiling(int descriptors, int remote) {
    atomic_store(&ceiling, descriptors);
    atomic_store(&remote_ceiling, remote);
}

static int is_local(int listener) {
    struct { unsigned short family; char rest[126]; } address;
    unsigned int length = sizeof address;
    return syscall(SYS_getsockname, listener, &address, &length) == 0 && address.family == 1;  // AF_UNIX
}

long stem_connections_refused(void) { return atomic_load(&refused); }

static int accept_below_ceiling(int listener, void *address, unsigned int *length, int flags) {
    int descriptor = (int)syscall(SYS_accept4, listener, address, length, flags);
    int limit = atomic_load(is_local(listener) ? &ceiling : &remote_ceiling);
    if (descriptor >= limit) {
        close(descriptor);
        atomic_fetch_add(&refused, 1);
        // libzmq takes this for a peer that hung up while it waited.
        errno = ECONNABORTED;
        return -1;
    }
    if (descriptor < 0 && limit != INT_MAX) {
        switch (errno) {
        // Whatever the program did with its reserve, it does not die of it. Nor does it compute in circles: the peer still waits, so that
        // libzmq tries again at once.
        case EMFILE: case ENFILE: case ENOBUFS: case ENOMEM:
            usleep(1000);
            errno = ECONNABORTED;
            break;
        // What a firewall or the network did to this one connection (accept(2): "treat them like EAGAIN").
        case EPERM: case ENETDOWN: case ENETUNREACH: case EHOSTDOWN: case EHOSTUNREACH: case ENONET: case ENOPROTOOPT: case EOPNOTSUPP:
        case ETIMEDOUT:
            errno = ECONNABORTED;
            break;
        default:
            break;
        }
    }
    return descriptor;
}

int accept(int listener, void *address, unsigned int *length) { return accept_below_ceiling(listener, address, length, 0); }

int accept4(int listener, void *address, unsigned int *length, int flags) {
    return accept_below_ceiling(listener, address, length, flags);
}
