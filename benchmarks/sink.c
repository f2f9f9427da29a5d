/* A cheap SMTP server: takes every mail, keeps none, counts them. Offers PIPELINING and CHUNKING.
 *
 * For measuring senders: Postfix's smtp-sink costs more a message than a fast sender does, so that its own ceiling is
 * what one sees. One thread, one epoll. Prints its port at the start, and at SIGTERM how many messages came in whole.
 * Not for the open Internet: it believes every line and answers everything with yes.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_ROOM = 1024, ANSWER_ROOM = 4096, READ_ROOM = 1 << 18, EVENTS = 64, LOOK_MS = 200 };

static const char END[] = "\r\n.\r\n"; /* of a message after DATA */
enum { END_SIZE = sizeof END - 1, LINE_BEGINS = 2 /* characters of END seen when a line begins */ };

enum stage { COMMANDS, DATA, CHUNK, GONE };

struct peer {
    int socket;
    enum stage stage;
    int seen;        /* DATA: characters of END matched so far */
    size_t awaited;  /* CHUNK: octets still to come */
    bool last;       /* CHUNK: ends the message */
    size_t line_size, answer_size;
    char line[LINE_ROOM], answer[ANSWER_ROOM];
};

static long messages;
static char input[READ_ROOM];
static volatile sig_atomic_t stopped;

static void stop(int number) {
    (void)number;
    stopped = 1;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void flush(struct peer *peer) {
    size_t sent = 0;
    while (sent < peer->answer_size) {
        ssize_t some = write(peer->socket, peer->answer + sent, peer->answer_size - sent);
        if (some <= 0) {
            peer->stage = GONE;
            break;
        }
        sent += (size_t)some;
    }
    peer->answer_size = 0;
}

/* Answers wait until all that came in is read: one write for a whole pipeline. */
static void answer(struct peer *peer, const char *text) {
    size_t size = strlen(text);
    if (peer->answer_size + size > ANSWER_ROOM)
        flush(peer);
    memcpy(peer->answer + peer->answer_size, text, size);
    peer->answer_size += size;
}

static void take_message(struct peer *peer) {
    messages++;
    peer->stage = COMMANDS;
    answer(peer, "250 2.0.0 taken\r\n");
}

static void end_chunk(struct peer *peer) {
    if (peer->last) {
        take_message(peer);
    } else {
        peer->stage = COMMANDS;
        answer(peer, "250 2.0.0 go on\r\n");
    }
}

static void begin_chunk(struct peer *peer, const char *arguments) {
    char *rest;
    peer->awaited = strtoul(arguments, &rest, 10);
    peer->last = strcasestr(rest, "LAST") != NULL;
    peer->stage = CHUNK;
    if (peer->awaited == 0)
        end_chunk(peer);
}

static bool says(const struct peer *peer, const char *verb) {
    return strncasecmp(peer->line, verb, strlen(verb)) == 0;
}

static void obey(struct peer *peer) {
    if (says(peer, "EHLO")) {
        answer(peer, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n");
    } else if (says(peer, "DATA")) {
        answer(peer, "354 go on\r\n");
        peer->stage = DATA;
        peer->seen = LINE_BEGINS;
    } else if (says(peer, "BDAT ")) {
        begin_chunk(peer, peer->line + strlen("BDAT "));
    } else if (says(peer, "QUIT")) {
        answer(peer, "221 2.0.0 bye\r\n");
        flush(peer);
        peer->stage = GONE;
    } else {
        answer(peer, "250 2.1.0 fine\r\n");
    }
}

/* Each of these reads what is its own of [at, end) and gives where the next begins. */

static const char *read_command(struct peer *peer, const char *at, const char *end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *next = newline ? newline + 1 : end;
    size_t size = (size_t)(next - at);
    if (peer->line_size + size >= LINE_ROOM) {
        peer->stage = GONE; /* no command of a sender is as long */
        return end;
    }
    memcpy(peer->line + peer->line_size, at, size);
    peer->line_size += size;
    if (newline) {
        peer->line[peer->line_size] = '\0';
        peer->line_size = 0;
        obey(peer);
    }
    return next;
}

static const char *read_data(struct peer *peer, const char *at, const char *end) {
    while (at < end) {
        if (peer->seen == 0) {
            at = memchr(at, '\r', (size_t)(end - at));
            if (at == NULL)
                return end;
        }
        char one = *at++;
        peer->seen = one == END[peer->seen] ? peer->seen + 1 : one == '\r' ? 1 : 0;
        if (peer->seen == END_SIZE) {
            take_message(peer);
            break;
        }
    }
    return at;
}

static const char *read_chunk(struct peer *peer, const char *at, const char *end) {
    size_t here = (size_t)(end - at);
    size_t size = here < peer->awaited ? here : peer->awaited;
    peer->awaited -= size;
    if (peer->awaited == 0)
        end_chunk(peer);
    return at + size;
}

static void serve(struct peer *peer) {
    ssize_t size = read(peer->socket, input, sizeof input);
    const char *at = input, *end = input + (size > 0 ? size : 0);
    if (size <= 0)
        peer->stage = GONE;
    while (at < end && peer->stage != GONE) {
        switch (peer->stage) {
        case COMMANDS: at = read_command(peer, at, end); break;
        case DATA: at = read_data(peer, at, end); break;
        case CHUNK: at = read_chunk(peer, at, end); break;
        case GONE: break;
        }
    }
    if (peer->stage != GONE)
        flush(peer);
    if (peer->stage == GONE) {
        close(peer->socket);
        free(peer);
    }
}

static void welcome(int watch, int door) {
    int on = 1;
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        fail("calloc");
    peer->socket = accept(door, NULL, NULL);
    if (peer->socket < 0) {
        free(peer);
        return;
    }
    setsockopt(peer->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(watch, EPOLL_CTL_ADD, peer->socket, &event) < 0)
        fail("epoll_ctl");
    answer(peer, "220 sink ESMTP\r\n");
    flush(peer);
}

static int open_door(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (door < 0 || bind(door, (struct sockaddr *)&here, size) < 0 || listen(door, 128) < 0)
        fail("listen");
    if (getsockname(door, (struct sockaddr *)&here, &size) < 0)
        fail("getsockname");
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    return door;
}

int main(void) {
    struct sigaction action = {.sa_handler = stop}; /* without SA_RESTART: epoll_wait must wake up */
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = NULL};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    int door = open_door(), watch = epoll_create1(0);
    if (watch < 0 || epoll_ctl(watch, EPOLL_CTL_ADD, door, &event) < 0)
        fail("epoll");
    while (!stopped) {
        int ready = epoll_wait(watch, events, EVENTS, LOOK_MS);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == NULL)
                welcome(watch, door);
            else
                serve(events[i].data.ptr);
        }
    }
    printf("%ld\n", messages);
    return 0;
}
