/*
 * The yardstick's other end: a single-threaded HTTP/2 server over nghttp2 and OpenSSL that answers every request with
 * 200, the request's apns-id (or a made one) and no body. It does as little as a correct server can, so that the client
 * under measurement is the limit, and it counts what it received, so that no client can claim more than it sent.
 *
 * Usage: server CERTIFICATE KEY [MAX_STREAMS [DELAY_MS]]
 * DELAY_MS is the simulated round trip: each answer is written so much later than its request was read (to the next whole
 * millisecond). The handshakes and window updates are not delayed.
 * Prints {"port":N} when ready. SIGUSR1 prints the counts; SIGTERM prints them and ends. The counts name the requests of
 * push type voip since the last report: the number that begins the device token, and CLOCK_MONOTONIC when it was read.
 * "later" are the requests whose apns-priority is below 10.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ID_LENGTH = 36,
    READ_SIZE = 16384,
    WRITE_SIZE = 65536,
    EVENTS = 64,
    WINDOW = 1 << 20,
    CALLS = 4096,
    NUMBER_AT = sizeof "/3/device/" - 1,
    NUMBER_LENGTH = 16
};

/* One request on its way. Freed ones are kept in a list: malloc would be visible in the figures. */
struct request {
    struct request *next; /* spare, or waiting in its connection */
    int64_t due;          /* milliseconds */
    int32_t stream_id;
    int waiting, closed, is_call;
    size_t id_length;
    char id[ID_LENGTH];
    char number[NUMBER_LENGTH + 1]; /* hexadecimal, the head of the device token */
};

struct connection {
    int fd;
    int ready; /* the TLS handshake is over */
    uint32_t events;
    SSL *tls;
    nghttp2_session *session;
    struct connection *previous, *next; /* all connections */
    struct request *first, *last;       /* answers held back; each waits as long, so they stand in order */
    size_t pending;                     /* bytes of out not yet taken by OpenSSL */
    uint8_t out[WRITE_SIZE];
};

struct call {
    char number[NUMBER_LENGTH + 1];
    double read_at;
};

static struct request *spare;
static uint64_t requests, body_bytes, connections, without_id, later;
static struct connection *open_connections;
static struct call calls[CALLS];
static size_t call_count;
static uint32_t max_streams = 1000;
static int64_t delay;
static volatile sig_atomic_t report_wanted, end_wanted;

static void on_signal(int number) {
    if (number == SIGUSR1) {
        report_wanted = 1;
    } else {
        end_wanted = 1;
    }
}

static void die(const char *what) {
    fprintf(stderr, "bench server: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void report(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    printf("{\"requests\":%llu,\"body_bytes\":%llu,\"connections\":%llu,\"without_id\":%llu,\"later\":%llu,"
           "\"cpu_seconds\":%.6f,\"calls\":[",
           (unsigned long long)requests, (unsigned long long)body_bytes, (unsigned long long)connections,
           (unsigned long long)without_id, (unsigned long long)later, cpu);
    for (size_t i = 0; i < call_count; i++) {
        printf("%s[\"%s\",%.6f]", i ? "," : "", calls[i].number, calls[i].read_at);
    }
    printf("]}\n");
    fflush(stdout);
    call_count = 0;
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int64_t milliseconds_now(void) {
    return (int64_t)(seconds_now() * 1e3);
}

/* ---- HTTP/2 ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    struct request *request = spare;
    if (request != NULL) {
        spare = request->next;
    } else if ((request = malloc(sizeof *request)) == NULL) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    request->next = NULL;
    request->id_length = 0;
    request->stream_id = frame->hd.stream_id;
    request->waiting = request->closed = request->is_call = 0;
    request->number[0] = 0;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, request);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *user) {
    (void)flags;
    (void)user;
    if (name_length == 7 && value_length == ID_LENGTH && memcmp(name, "apns-id", 7) == 0) {
        struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (request != NULL) {
            memcpy(request->id, value, ID_LENGTH);
            request->id_length = ID_LENGTH;
        }
    } else if (name_length == 5 && memcmp(name, ":path", 5) == 0 && value_length >= NUMBER_AT + NUMBER_LENGTH) {
        struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (request != NULL) {
            memcpy(request->number, value + NUMBER_AT, NUMBER_LENGTH);
            request->number[NUMBER_LENGTH] = 0;
        }
    } else if (name_length == 14 && value_length == 4 && memcmp(name, "apns-push-type", 14) == 0 &&
               memcmp(value, "voip", 4) == 0) {
        struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (request != NULL) {
            request->is_call = 1;
        }
    } else if (name_length == 13 && value_length == 1 && memcmp(name, "apns-priority", 13) == 0) {
        later++;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t length,
                   void *user) {
    (void)session;
    (void)flags;
    (void)stream_id;
    (void)data;
    (void)user;
    body_bytes += length;
    return 0;
}

static int answer(nghttp2_session *session, const struct request *request) {
    nghttp2_nv fields[] = {
        {(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
        {(uint8_t *)"apns-id", (uint8_t *)request->id, 7, ID_LENGTH, NGHTTP2_NV_FLAG_NO_COPY_NAME},
    };
    return nghttp2_submit_response(session, request->stream_id, fields, 2, NULL);
}

static int is_hexadecimal(const char *text) {
    return strspn(text, "0123456789abcdefABCDEF") == NUMBER_LENGTH;
}

static void note_call(const struct request *request) {
    if (call_count < CALLS && is_hexadecimal(request->number)) {
        memcpy(calls[call_count].number, request->number, sizeof request->number);
        calls[call_count++].read_at = seconds_now();
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct connection *connection = user;
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        return 0;
    }
    struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (request == NULL) {
        return 0;
    }
    requests++;
    if (request->is_call) {
        note_call(request);
    }
    if (request->id_length == 0) {
        char made[ID_LENGTH + 1];
        snprintf(made, sizeof made, "00000000-0000-4000-8000-%012llx", (unsigned long long)++without_id);
        memcpy(request->id, made, ID_LENGTH);
    }
    if (delay == 0) {
        return answer(session, request);
    }
    request->waiting = 1;
    request->due = milliseconds_now() + delay;
    if (connection->last != NULL) {
        connection->last->next = request;
    } else {
        connection->first = request;
    }
    connection->last = request;
    return 0;
}

static void keep(struct request *request) {
    request->next = spare;
    spare = request;
}

static int on_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user) {
    (void)error;
    (void)user;
    struct request *request = nghttp2_session_get_stream_user_data(session, stream_id);
    if (request != NULL && request->waiting) {
        request->closed = 1; /* the client gave it up; it is still in the connection's list */
    } else if (request != NULL) {
        keep(request);
    }
    return 0;
}

/* Submit the answers that are due. Returns -1 when the connection is over. */
static int answer_due(struct connection *connection, int64_t now) {
    while (connection->first != NULL && connection->first->due <= now) {
        struct request *request = connection->first;
        connection->first = request->next;
        if (connection->first == NULL) {
            connection->last = NULL;
        }
        request->waiting = 0;
        if (request->closed) {
            keep(request);
        } else if (answer(connection->session, request) != 0) {
            return -1;
        }
    }
    return 0;
}

static nghttp2_session_callbacks *make_callbacks(void) {
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        die("callbacks");
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    return callbacks;
}

/* ---- connections ---- */

static void close_connection(int poll, struct connection *connection) {
    while (connection->first != NULL) {
        struct request *request = connection->first;
        connection->first = request->next;
        keep(request);
    }
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        open_connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    epoll_ctl(poll, EPOLL_CTL_DEL, connection->fd, NULL);
    nghttp2_session_del(connection->session);
    SSL_free(connection->tls);
    close(connection->fd);
    free(connection);
}

static void accept_connection(int poll, int listener, SSL_CTX *context, nghttp2_session_callbacks *callbacks) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        die("connection");
    }
    connection->fd = fd;
    connection->events = EPOLLIN;
    connection->tls = SSL_new(context);
    SSL_set_fd(connection->tls, fd);
    SSL_set_accept_state(connection->tls);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    if (nghttp2_session_server_new(&connection->session, callbacks, connection) != 0 ||
        nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
        nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0, WINDOW) != 0) {
        die("session");
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
    connection->next = open_connections;
    if (open_connections != NULL) {
        open_connections->previous = connection;
    }
    open_connections = connection;
    connections++;
}

/* Fill out with frames and hand it to OpenSSL until neither has more to do. Returns -1 when the connection is over. */
static int flush(struct connection *connection) {
    for (;;) {
        while (connection->pending < WRITE_SIZE / 2) {
            const uint8_t *data;
            ssize_t length = nghttp2_session_mem_send(connection->session, &data);
            if (length < 0) {
                return -1;
            }
            if (length == 0) {
                break;
            }
            if (connection->pending + (size_t)length > WRITE_SIZE) {
                return -1; /* a frame is at most 16 KiB: cannot be */
            }
            memcpy(connection->out + connection->pending, data, (size_t)length);
            connection->pending += (size_t)length;
        }
        if (connection->pending == 0) {
            return 0;
        }
        size_t written = 0;
        if (SSL_write_ex(connection->tls, connection->out, connection->pending, &written) != 1) {
            int error = SSL_get_error(connection->tls, 0);
            return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
        }
        memmove(connection->out, connection->out + written, connection->pending - written);
        connection->pending -= written;
    }
}

static int receive(struct connection *connection) {
    uint8_t in[READ_SIZE];
    size_t length;
    while (SSL_read_ex(connection->tls, in, sizeof in, &length) == 1) {
        if (nghttp2_session_mem_recv(connection->session, in, length) < 0) {
            return -1;
        }
    }
    int error = SSL_get_error(connection->tls, 0);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int handshake(struct connection *connection) {
    int result = SSL_do_handshake(connection->tls);
    if (result == 1) {
        connection->ready = 1;
        return 0;
    }
    int error = SSL_get_error(connection->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void serve(int poll, struct connection *connection) {
    ERR_clear_error();
    int result = connection->ready ? 0 : handshake(connection);
    if (result == 0 && connection->ready) {
        result = receive(connection);
    }
    if (result == 0 && connection->first != NULL) {
        result = answer_due(connection, milliseconds_now());
    }
    if (result == 0 && connection->ready) {
        result = flush(connection);
    }
    if (result != 0 || (!nghttp2_session_want_read(connection->session) &&
                        !nghttp2_session_want_write(connection->session))) {
        close_connection(poll, connection);
        return;
    }
    uint32_t events = EPOLLIN | (connection->pending ? EPOLLOUT : 0);
    if (events != connection->events) {
        struct epoll_event event = {.events = events, .data.ptr = connection};
        epoll_ctl(poll, EPOLL_CTL_MOD, connection->fd, &event);
        connection->events = events;
    }
}

/* Serve every connection that has an answer to write by now. */
static void serve_due(int poll) {
    int64_t now = milliseconds_now();
    struct connection *next;
    for (struct connection *connection = open_connections; connection != NULL; connection = next) {
        next = connection->next;
        if (connection->first != NULL && connection->first->due <= now) {
            serve(poll, connection);
        }
    }
}

/* Milliseconds until the next answer is due; -1 when none waits. */
static int until_due(void) {
    int64_t earliest = INT64_MAX;
    for (struct connection *connection = open_connections; connection != NULL; connection = connection->next) {
        if (connection->first != NULL && connection->first->due < earliest) {
            earliest = connection->first->due;
        }
    }
    if (earliest == INT64_MAX) {
        return -1;
    }
    int64_t left = earliest - milliseconds_now();
    return left > 0 ? (int)left : 0;
}

/* ---- start ---- */

static int select_h2(SSL *tls, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                     unsigned int in_length, void *user) {
    (void)tls;
    (void)user;
    return nghttp2_select_next_protocol((unsigned char **)out, out_length, in, in_length) == 1
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_context(const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        die("certificate");
    }
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_select_cb(context, select_h2, NULL);
    return context;
}

static int make_listener(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        die("listen");
    }
    printf("{\"port\":%d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: server CERTIFICATE KEY [MAX_STREAMS [DELAY_MS]]\n");
        return 2;
    }
    if (argc > 3) {
        max_streams = (uint32_t)strtoul(argv[3], NULL, 10);
    }
    if (argc > 4) {
        delay = (int64_t)strtoul(argv[4], NULL, 10);
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, awaited; /* signals arrive inside epoll_pwait only: none is noticed too late */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &awaited);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    SSL_CTX *context = make_context(argv[1], argv[2]);
    nghttp2_session_callbacks *callbacks = make_callbacks();
    int poll = epoll_create1(EPOLL_CLOEXEC);
    int listener = make_listener();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) != 0) {
        die("epoll");
    }
    while (!end_wanted) {
        struct epoll_event events[EVENTS];
        int count = epoll_pwait(poll, events, EVENTS, delay ? until_due() : -1, &awaited);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                accept_connection(poll, listener, context, callbacks);
            } else {
                serve(poll, events[i].data.ptr);
            }
        }
        if (delay) {
            serve_due(poll);
        }
        if (report_wanted) {
            report_wanted = 0;
            report();
        }
    }
    report();
    return 0;
}
