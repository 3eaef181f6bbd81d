// SPDX-License-Identifier: Apache-2.0
#include "net/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/url.h"

enum { LISTEN_BACKLOG = 1024 };

static bool listen_on(const struct addrinfo *address, int *ret_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    int yes = 1;
    int no = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address->ai_family == AF_INET6) // [::] takes IPv4, too
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int error_number = errno;
        close(fd);
        errno = error_number;
        return false;
    }
    *ret_fd = fd;
    return true;
}

// Families in the order to be tried: every interface means IPv6 first (it takes both), a name IPv4 first.
static bool listen_on_any(const struct addrinfo *list, bool every_interface, int *ret_fd)
{
    int first = every_interface ? AF_INET6 : AF_INET;
    for (int round = 0; round < 2; round++)
        for (const struct addrinfo *a = list; a; a = a->ai_next)
            if ((a->ai_family == first) == (round == 0) && listen_on(a, ret_fd))
                return true;
    return false;
}

bool http_listen_open(Str address, int *ret_fd, Error *err)
{
    Str host;
    Str port;
    if (!url_split_host_port(address, &host, &port, err))
        return error_context(err, "listen");
    char host_c[NI_MAXHOST];
    char port_c[NI_MAXSERV];
    if (host.len >= sizeof host_c || port.len >= sizeof port_c)
        return error_set(err, ERR_INVALID, "listen: address is too long");
    memcpy(host_c, host.len ? host.ptr : "", host.len);
    host_c[host.len] = '\0';
    memcpy(port_c, port.len ? port.ptr : "", port.len);
    port_c[port.len] = '\0';

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host.len ? host_c : NULL, port.len ? port_c : "0", &hints, &list);
    if (rc != 0)
        return error_set(err, ERR_INVALID, "listen tcp " STR_FMT ": %s", STR_ARG(address),
                         gai_strerror(rc));
    errno = EADDRNOTAVAIL;
    bool ok = listen_on_any(list, host.len == 0, ret_fd);
    int error_number = errno;
    freeaddrinfo(list);
    return ok || error_set_errno(err, error_number, "listen tcp " STR_FMT, STR_ARG(address));
}

int http_listen_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t bytes = sizeof address;
    if (getsockname(fd, &address.any, &bytes) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
